"""HTTP in: every request of every surface goes through `Edge`, in the order of checks of requirements 3.1.

    1 HTTPS   2 path, method   3 credentials   4 key   4a blocked address   4b declared length   5 version
                                                                                                    (here, in this order)
    6 rights   7 subscription   8 windows   9 credits                                               (usecases/admit.py)
    10 body, query   12 model                                                                       (requests.py)
    11 idempotency key, which comes with 10 before 9 where there is one                             (usecases/replay_answer.py)
    14 the model's state   15 the platform's answer                                                 (usecases/proxy_call.py)
    or, of an own route, the answer of the service whose business it is                             (usecases/own_call.py)

Nothing of a request is read, counted or paid before the row whose turn it is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from libs.common.clock import Clock, SystemClock
from libs.common.contracts.auth import Actor
from libs.common.contracts.edge import KeyCall
from libs.common.contracts.envelope import Message
from libs.common.contracts.versions import API_VERSIONS, NEWEST
from libs.common.errors import Unavailable
from libs.common.ids import id_ms, uuid7
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import UNHANDLED_ERRORS
from libs.common.telemetry.trace import accept_traceparent, current_traceparent
from services.edge.domain import changes
from services.edge.domain.catalogue import Route, checked, with_limits
from services.edge.domain.idempotency import KEY_HEADER, Asking, Kept, asking_of, key_of
from services.edge.domain.own_route import Asked, Export, OwnRoute
from services.edge.domain.ports import CallLog
from services.edge.domain.principal import SCOPED_KINDS
from services.edge.domain.queries import check_query
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream, refusal_of
from services.edge.entry import answers
from services.edge.entry.abuse import Refused
from services.edge.entry.credentials import presented_key
from services.edge.entry.observe import Observer
from services.edge.entry.openapi import document as openapi
from services.edge.entry.proxies import TrustedProxies, origin_of
from services.edge.entry.published import Published
from services.edge.entry.requests import declared_too_large, own_request, platform_request, read_body_of
from services.edge.entry.router import Router
from services.edge.entry.streams import send
from services.edge.entry.surface import DOCUMENT_ROUTE, Surface
from services.edge.entry.versions import RequestedVersions
from services.edge.usecases.authenticate import Authenticate
from services.edge.usecases.export_call import ExportCall
from services.edge.usecases.own_call import OwnCall
from services.edge.usecases.proxy_call import Call, ProxyCall, Request
from services.edge.usecases.replay_answer import ReplayAnswer

NO_LIMITS: Final[Mapping[str, int]] = {}
_HEALTHY: Final = b'{"status":"ok"}'
_unhandled = UNHANDLED_ERRORS.labels("edge")
_log = logger(__name__)


class Edge:
    """The handler of all requests. Answers everything, raises nothing."""

    def __init__(
        self,
        surfaces: Sequence[Surface],
        *,
        authenticate: Authenticate,
        proxy_call: ProxyCall,
        own_call: OwnCall,
        export_call: ExportCall,
        replay_answer: ReplayAnswer,
        versions: RequestedVersions,
        calls: CallLog,
        proxies: TrustedProxies,
        limits: Mapping[str, int] = NO_LIMITS,
        require_https: bool,
        base_url: str = "",
        accept_trace: Callable[[str | None, UUID], str] = accept_traceparent,
        clock: Clock | None = None,
    ) -> None:
        """The first surface also answers for paths of none. Raises ValueError if the routes collide or lack a permission."""
        self._fallback = surfaces[0]
        self._surfaces = sorted(surfaces, key=lambda surface: -len(surface.prefix))  # the longest prefix wins
        self._surface_of_route: dict[int, Surface] = {}
        routes: list[Route] = []
        for surface in surfaces:
            for route in with_limits(checked(surface.routes()), limits):
                routes.append(route)
                self._surface_of_route[id(route)] = surface
        self.routes = tuple(routes)
        self._router = Router(routes)
        self._documents = {
            (surface.name, version): Published(openapi.served(surface, version), "application/json")
            for surface in surfaces
            for version in API_VERSIONS
        }
        self._authenticate = authenticate
        self._proxy_call = proxy_call
        self._own_call = own_call
        self._export_call = export_call
        self._replay_answer = replay_answer
        self._versions = versions
        self._calls = calls
        self._proxies = proxies
        self._require_https = require_https
        self._base_url = base_url.rstrip("/")
        self._accept_trace = accept_trace
        self._observer = Observer(Refused(clock or SystemClock()))

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = uuid7()
        exchange = _Exchange(request, request_id)
        started = self._observer.started()
        refusal: Refusal | None = None
        try:
            answer = await self._answer(exchange)
        except Refusal as exc:
            refusal = exc
        except Unavailable as exc:  # the bus: refused, or silent about a usage record
            refusal = Refusal("UNAVAILABLE", retry_after_s=exc.retry_after_s, detail=str(exc))
        except Exception as exc:
            _unhandled.inc()
            _log.error("unhandled error", request_id=str(request_id), exc_info=exc)
            refusal = Refusal("INTERNAL_ERROR")
        call = exchange.call
        if refusal is not None:
            if refusal.windows is None and call is not None and call.reserved is not None:
                refusal.windows = call.reserved.windows
            surface = exchange.surface or self._surface_of(request.rel_url.raw_path)
            refusal = surface.said(refusal)
            accept = request.headers.getall("Accept", ())
            answer = answers.failure(
                refusal, surface.failure(refusal), request_id, spoken=exchange.spoken, accept=accept,
                is_replayed=call is not None and call.is_replayed,
            )  # fmt: skip
        self._observer.finished(request, request_id, started, answer.status, exchange.route, call, refusal)
        if call is not None and exchange.surface is not None:
            self._count(call, exchange.surface, exchange, answer.status)
        return answer

    def _count(self, call: Call, surface: Surface, exchange: "_Exchange", status: int) -> None:
        caller = call.caller
        self._calls.saw(caller.org_id, caller.key_id, surface=surface.name, version=exchange.asked)
        if caller.kind in SCOPED_KINDS:
            self._calls.saw_users(
                KeyCall(
                    call_id=exchange.id, org_id=caller.org_id, key_id=caller.key_id, at_ms=id_ms(exchange.id),
                    method=call.route.method, path=call.route.path, version=exchange.asked, status=status,
                )
            )  # fmt: skip

    def route_name(self, request: web.BaseRequest) -> str:
        """The name of the route that is asked for; `unmatched` where there is none."""
        try:
            return self._router.find(request.method, request.rel_url.raw_path)[0].name
        except Refusal:
            return "unmatched"

    def bad_http(self, status: int) -> web.StreamResponse:
        """The answer to what is no HTTP request, or to a crash below the handler. No surface is known: the first one's words."""
        if status >= 500:
            refusal = Refusal("INTERNAL_ERROR")
        else:
            refusal = Refusal("INVALID_REQUEST", "Malformed HTTP request", status=status)
        refusal = self._fallback.said(refusal)
        return answers.failure(refusal, self._fallback.failure(refusal), uuid7())

    async def _answer(self, exchange: "_Exchange") -> web.StreamResponse:
        request = exchange.request
        if self._require_https and not self._is_https(request):
            raise Refusal("HTTPS_REQUIRED")  # no redirect: the key has leaked already
        route, path_params = self._router.find(request.method, request.rel_url.raw_path)
        surface = self._surface_of_route[id(route)]
        exchange.route, exchange.surface, exchange.path_params = route, surface, path_params
        headers = request.headers
        if "Expect" in headers and headers["Expect"].lower() != "100-continue":
            raise Refusal("EXPECTATION_FAILED")
        if route.permission is None:
            if route.name == DOCUMENT_ROUTE:
                check_query(route.query, request.rel_url.raw_query_string)
                version = request.rel_url.query.get("version", NEWEST)
                return self._documents[surface.name, version].answer(request, exchange.id)
            return answers.success(200, surface.own(_HEALTHY), exchange.id, None)
        key = presented_key(headers, surface)
        address = self._proxies.client(request.remote or "", headers.getall("X-Forwarded-For", ()))
        credential, caller = await self._authenticate(key, address)
        current_traceparent.set(self._accept_trace(headers.get("traceparent"), exchange.id))
        spoken = self._versions(headers, surface, route, caller.api_version)
        exchange.version, exchange.asked, exchange.spoken = spoken.version, spoken.asked, spoken.headers
        too_large = declared_too_large(request, surface.body_bytes_max)
        exchange.call = call = Call(
            exchange.id,
            route,
            credential,
            caller,
            address,
            refusal=too_large or spoken.refusal,
            is_counted=too_large is None,
        )

        if isinstance(route, OwnRoute) and route.export is not None:
            return await self._exported(exchange, call, route, route.export)
        if isinstance(route, OwnRoute):
            kept = await self._own(exchange, call, route, surface)
        else:
            kept = await self._proxied(exchange, call, surface)
        return answers.success(
            kept.status, kept.body, exchange.id, call.reserved, exchange.spoken, is_replayed=call.is_replayed
        )

    async def _proxied(self, exchange: "_Exchange", call: Call, surface: Surface) -> Kept:
        async def read(_: Call) -> Request:
            body = await exchange.take_body(call.route, surface.body_bytes_max)
            return platform_request(exchange.request, call.route, exchange.path_params, body)

        async def carry_out() -> Kept:
            upstream = await self._proxy_call(call, read)
            if not upstream.is_success:
                raise refusal_of(upstream)
            return _shown(surface, call, upstream)

        return await self._once_per_key(exchange, call, read, carry_out)

    async def _own(self, exchange: "_Exchange", call: Call, route: OwnRoute, surface: Surface) -> Kept:
        """An own route's answer, in the form in which surfaces take a platform's."""
        read = self._reader(exchange, route, surface.body_bytes_max)

        async def carry_out() -> Kept:
            data = await self._own_call(call, route, read)
            body = b"" if route.data is None else changes.descended(route.name, exchange.version, _whole(data))
            status = route.status if route.status_of is None else route.status_of(data)
            return _shown(surface, call, Upstream(status, body))

        return await self._once_per_key(exchange, call, read, carry_out)

    async def _exported(self, exchange: "_Exchange", call: Call, route: OwnRoute, export: Export) -> web.StreamResponse:
        asked, chunks = await self._export_call(call, route, self._reader(exchange, route, bytes_max=0))
        headers = answers.file_headers(
            export.content_type(asked), export.file_name(asked), exchange.id, call.reserved, exchange.spoken
        )
        return await send(exchange.request, headers, chunks)

    def _reader(self, exchange: "_Exchange", route: OwnRoute, bytes_max: int) -> Callable[[Call], Awaitable[Asked]]:
        async def read(call: Call) -> Asked:
            request, caller = exchange.request, call.caller
            body = changes.climbed(route.name, exchange.version, await exchange.take_body(route, bytes_max))
            by = Actor(key_id=caller.key_id, user_id=caller.user_id, address=call.address)
            origin = self._base_url or origin_of(request, self._proxies)
            return own_request(
                request,
                route,
                exchange.path_params,
                body,
                caller=caller,
                by=by,
                origin=origin,
                version=exchange.version,
            )

        return read

    def _once_per_key(
        self,
        exchange: "_Exchange",
        call: Call,
        read: Callable[[Call], Awaitable[Request | Asked]],
        carry_out: Callable[[], Awaitable[Kept]],
    ) -> Awaitable[Kept]:
        """Carry a request out; under an idempotency key only if nobody has yet. A keyed request is read twice, for its key
        and to be carried out: it is off the wire by then.
        """
        keys = exchange.request.headers.getall(KEY_HEADER, [])
        if not keys or not call.route.is_unsafe:
            return carry_out()

        async def asking(admitted: Call) -> Asking:
            await read(admitted)
            target = exchange.request.rel_url.raw_path_qs
            return asking_of(
                key_of(keys), admitted.caller, call.route, target=target, version=exchange.version,
                body=exchange.body or b"",
            )  # fmt: skip

        return self._replay_answer(call, asking, carry_out)

    def _surface_of(self, path: str) -> Surface:
        for surface in self._surfaces:
            if path == surface.prefix or path.startswith(f"{surface.prefix}/"):
                return surface
        return self._fallback

    def _is_https(self, request: web.BaseRequest) -> bool:
        forwarded = request.headers.getall("X-Forwarded-Proto", ())
        return self._proxies.is_https(request.remote or "", forwarded, direct=request.secure)


def _whole(data: Any) -> bytes:
    """`data` with all its members: on the bus a message leaves out what is as usual, and clients should not have to know that."""
    return msgspec.json.encode(msgspec.structs.asdict(data) if isinstance(data, Message) else data)


class _Exchange:
    """One request on its way to an answer: what is known of it so far, also if it ends half-way."""

    __slots__ = ("asked", "body", "call", "id", "path_params", "request", "route", "spoken", "surface", "version")

    def __init__(self, request: web.BaseRequest, request_id: UUID) -> None:
        self.request = request
        self.id = request_id
        self.route: Route | None = None
        self.surface: Surface | None = None
        self.call: Call | None = None
        self.path_params: dict[str, str] = {}
        self.version = ""
        self.asked = ""  # the version it named or was pinned to, also if that has ended
        self.spoken: Mapping[str, str] = answers.NOTHING  # what answers say of the version
        self.body: bytes | None = None

    async def take_body(self, route: Route, bytes_max: int) -> bytes:
        """The body, from the wire the first time. Raises Refusal: 415, 413, 400."""
        if self.body is None:
            self.body = await read_body_of(self.request, route, bytes_max)
        return self.body


def _shown(surface: Surface, call: Call, upstream: Upstream) -> Kept:
    assert call.reserved is not None
    return Kept(*surface.success(upstream, call.reserved))
