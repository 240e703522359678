"""The sandbox's HTTP server: every route of the catalogue behind a cookie session or a bearer token, with faults on demand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from libs.common.contracts.catalogue import CatalogueRoute, RetryClass, catalogue, parameter_pattern
from services.sessions.sandbox.auth_routes import add_auth_routes
from services.sessions.sandbox.calls import Call, Handler, PlatformError
from services.sessions.sandbox.control import add_control_routes
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.oauth_routes import add_oauth_routes
from services.sessions.sandbox.rendering import STYLES, render, style_of
from services.sessions.sandbox.routes import HANDLERS, paths_of
from services.sessions.sandbox.signin import COOKIE
from services.sessions.sandbox.world import JSON, World, hang_up, refusal_by, spoiled_answer

BODY_BYTES_MAX: Final = 5 << 20
RENDERED_MAX: Final = 5_000  # read answers kept as bytes


def build_application(world: World | None = None) -> web.Application:
    """The sandbox as an aiohttp application."""
    world = world or World()
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    add_control_routes(app, world)
    add_auth_routes(app, world)
    add_oauth_routes(app, world)
    server = _Server(world)
    for route in catalogue().values():
        for path in paths_of(route):
            app.router.add_route(route.method, _pattern(path), server.handler(route, path, HANDLERS[route.name]))
    return app


class _Server:
    """Serves catalogue routes; keeps the rendered bytes of reads until the account changes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rendered: dict[
            tuple[int, str], tuple[int, int, bytes]
        ] = {}  # (account, path) -> (version, status, bytes)

    def handler(
        self, route: CatalogueRoute, path: str, function: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of one route on one path."""
        world = self._world

        async def handle(request: web.Request) -> web.StreamResponse:
            world.calls.arrived(route.name)
            told: dict[str, str] = {}  # headers that every answer to a bearer has
            try:
                account = self._caller(request, route, path)
                if _bearer(request):
                    told = world.bearers.count(account)
                if "Retry-After" in told:
                    raise PlatformError(429, "rate_limited", "Too many requests")
            except PlatformError as exc:
                return self._answer(request, route, *_refused(exc), told)
            fault = world.faults.take(route.name, account.id)
            if fault.drops_before:
                return hang_up(request)
            if fault.expire_session:
                world.signin.expire(account.id)
                world.grants.expire(account.id)
                return self._answer(
                    request, route, *_refused(PlatformError(401, "session_expired", "Sign in again")), told
                )
            body = await request.read()
            if (refused := refusal_by(fault)) is not None:
                await asyncio.sleep(fault.delay_ms / 1000)
                world.calls.answered(route.name, refused.status)
                return refused
            status, answer = self._serve(request, route, function, account, body)
            if fault.delay_ms:
                await asyncio.sleep(fault.delay_ms / 1000)
            if fault.drops_after:
                return hang_up(request)
            return await spoiled_answer(request, fault, answer) or self._answer(request, route, status, answer, told)

        return handle

    def _caller(self, request: web.Request, route: CatalogueRoute, path: str) -> Account:
        """Whose call it is. Raises PlatformError."""
        if token := _bearer(request):
            return self._world.bearers.account(token, route, request.headers, path)
        account = self._world.signin.account_of(request.cookies.get(COOKIE, ""))
        if account is None:
            raise PlatformError(401, "unauthorized", "Sign in first")
        return account

    def _serve(
        self, request: web.Request, route: CatalogueRoute, function: Handler, account: Account, body: bytes
    ) -> tuple[int, bytes]:
        """Run the call: its status and bytes."""
        key, path = (account.id, request.path_qs), request.path
        is_read = request.method == "GET"
        if is_read and (kept := self._rendered.get(key)) is not None and kept[0] == account.version:
            return kept[1], kept[2]
        try:
            answer = function(account, Call(request.match_info, request.query, body))
        except PlatformError as exc:
            return _refused(exc)
        rendered = b"" if answer.status == 204 else render(answer.value, style_of(path))
        if is_read:
            if len(self._rendered) >= RENDERED_MAX:
                self._rendered.clear()
            self._rendered[key] = (account.version, answer.status, rendered)
        elif route.retry is not RetryClass.READ:
            self._world.calls.wrote(route.name, account.id, path, body)
        return answer.status, rendered

    def _answer(
        self, request: web.Request, route: CatalogueRoute, status: int, body: bytes, told: dict[str, str]
    ) -> web.Response:
        self._world.calls.answered(route.name, status)
        self._world.calls.remember(request.path, status, body)
        if status == 204:
            return web.Response(status=204, headers=told)
        return web.Response(status=status, body=body, content_type=JSON, headers=told)


def _bearer(request: web.Request) -> str:
    """The call's bearer token; "" = it has none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _refused(error: PlatformError) -> tuple[int, bytes]:
    return error.status, render({"error": {"code": error.code, "message": error.message}}, STYLES[0])


def _pattern(path: str) -> str:
    """A catalogue template as aiohttp writes it: `/chats/{fan_id}` -> `/chats/{fan_id:<pattern>}`."""
    parts = []
    for part in path.split("/"):
        name = part[1:-1] if part.startswith("{") else ""
        parts.append(f"{{{name}:{parameter_pattern(name).pattern}}}" if name else part)
    return "/".join(parts)
