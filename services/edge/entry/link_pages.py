"""The pages behind one-time links, `/connect/{token}` (where a platform's password is typed) and `/join/{token}`.

No script, no cookies but the form's own, nothing kept by browsers or proxies. The token is never logged. A form is taken only
from our own page in the same browser (origin, and a token bound to a cookie), at most some failures a minute per address.
"""

import abc
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qs
from uuid import UUID

from aiohttp import web
from multidict import CIMultiDict

from libs.common.http.body import BodyBroken, BodyTooLarge, read_body
from libs.common.http.server import Answer
from libs.common.ids import uuid7
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import UNHANDLED_ERRORS
from services.edge.domain.ports import Failures
from services.edge.domain.refusal import Refusal
from services.edge.entry.observe import DURATION, INFLIGHT, REQUESTS
from services.edge.entry.page import STYLE, STYLE_PATH, message_page
from services.edge.entry.proxies import TrustedProxies, origin_of

FORM_BYTES_MAX: Final = 8_192
BODY_SECONDS: Final = 10.0
COOKIE: Final = "connect"
COOKIE_SECONDS: Final = 900
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})

_HEADERS: Final = CIMultiDict(
    {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        # With `no-referrer` browsers would send `Origin: null` along with our own form.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }
)
_TITLES: Final = {
    404: "The link does not work",
    429: "Too many attempts",
    503: "Not possible at the moment",
    504: "Still waiting",
}
_unhandled = UNHANDLED_ERRORS.labels("edge")
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a browser keeps for its way to a platform and back, for so many seconds; 0 = no longer."""

    value: str
    seconds: int

    def __repr__(self) -> str:
        return "<Kept>"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a form. `page` None: the link's own page says it."""

    is_done: bool
    page: bytes | None = None
    kept: Kept | None = None


class LinkPage(Protocol):
    """What stands behind one kind of link. Both verbs that ask raise Refusal: `LINK_GONE`, 503, 504."""

    @property
    def prefix(self) -> str:
        """Where its links are, `/connect/`."""
        ...

    @property
    def name(self) -> str:
        """In metrics and the log."""
        ...

    async def show(self, token: str) -> Any:
        """What the link stands for now."""
        ...

    def render(self, shown: Any, *, form: str, problem: str = "") -> bytes:
        """Its page. `form` is the form's own token; `problem` what went wrong just now."""
        ...

    async def send(self, token: str, fields: Mapping[str, str], *, address: str) -> Sent:
        """Take what was typed. Raises Refusal (400, 409) for what cannot be used, too."""
        ...


class Pages(abc.ABC):
    """What all handlers of pages share: they answer everything, raise nothing, and tell nobody what the address was."""

    def __init__(self, name: str, *, failures: Failures, proxies: TrustedProxies, require_https: bool) -> None:
        """`name` is theirs in metrics and the log."""
        self._name = name
        self._failures = failures
        self._proxies = proxies
        self._require_https = require_https

    @abc.abstractmethod
    async def _answer(self, request: web.BaseRequest) -> Answer:
        """Raises Refusal."""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started, request_id = time.perf_counter(), uuid7()
        INFLIGHT.inc()
        refusal: Refusal | None = None
        try:
            answer = await self._answer(request)
        except Refusal as exc:
            refusal = exc
        except Exception as exc:
            _unhandled.inc()
            _log.error("unhandled error", request_id=str(request_id), exc_info=exc)
            refusal = Refusal("INTERNAL_ERROR")
        if refusal is not None:
            title = _TITLES.get(refusal.status, "This did not work")
            answer = html_answer(refusal.status, message_page(title, refusal.public))
            if refusal.retry_after_s:
                answer.headers["Retry-After"] = str(refusal.retry_after_s)
            if refusal.allow:
                answer.headers["Allow"] = refusal.allow
            if refusal.status == 413:
                answer.force_close()
        answer.headers["X-Request-Id"] = str(request_id)
        self._observe(request, request_id, answer.status, refusal, time.perf_counter() - started)
        return answer

    def _check_https(self, request: web.BaseRequest) -> None:
        if self._require_https and not self._is_https(request):
            raise Refusal("HTTPS_REQUIRED", "Open this link by https://")

    def _caller(self, request: web.BaseRequest) -> str:
        """The client's address. Raises Refusal (429) for one that was wrong too often."""
        address = self._proxies.client(request.remote or "", request.headers.getall("X-Forwarded-For", ()))
        if blocked_ms := self._failures.blocked_ms(address):
            wait_s = -(-blocked_ms // 1_000)
            raise Refusal("TOO_MANY_FAILED_AUTH", f"Wait {wait_s} seconds, then try again.", retry_after_s=wait_s)
        return address

    def _is_https(self, request: web.BaseRequest) -> bool:
        forwarded = request.headers.getall("X-Forwarded-Proto", ())
        return self._proxies.is_https(request.remote or "", forwarded, direct=request.secure)

    def _observe(
        self, request: web.BaseRequest, request_id: UUID, status: int, refusal: Refusal | None, seconds: float
    ) -> None:
        """Metrics, and a line without path, address, cookie or body: each could give a secret away."""
        INFLIGHT.dec()
        method = request.method if request.method in _METHODS else "other"
        reason = "" if refusal is None else "caller" if status < 500 else "ours"
        REQUESTS.labels(self._name, method, f"{status // 100}xx", reason).inc()
        DURATION.labels(self._name).observe(seconds)
        facts = {} if refusal is None else {"code": refusal.code, "detail": refusal.detail}
        _log.info(
            self._name.replace("_", " "),
            request_id=str(request_id),
            method=method,
            status=status,
            ms=round(seconds * 1_000, 2),
            **facts,
        )


class LinkPages(Pages):
    """The handler of everything below the prefix of `page`."""

    def __init__(
        self,
        page: LinkPage,
        *,
        failures: Failures,
        proxies: TrustedProxies,
        require_https: bool,
        base_url: str = "",
    ) -> None:
        """`base_url` is where our own pages come from; empty: wherever the request says it went."""
        super().__init__(page.name, failures=failures, proxies=proxies, require_https=require_https)
        self.prefix = page.prefix
        self._link = page
        self._origin = "/".join(base_url.split("/")[:3])

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if request.rel_url.raw_path == STYLE_PATH and request.method in {"GET", "HEAD"}:
            return _style()
        self._check_https(request)
        if request.method not in _METHODS:
            raise Refusal("METHOD_NOT_ALLOWED", allow="GET, HEAD, POST")
        token = request.rel_url.raw_path.removeprefix(self.prefix)
        if not _TOKEN.fullmatch(token):
            raise Refusal("LINK_GONE")
        address = self._caller(request)
        try:
            if request.method == "POST":
                return await self._take(request, token, address)
            return self._page(request, token, await self._link.show(token))
        except Refusal as exc:
            # Guesses count; forms from elsewhere do not, or a stranger's page could get its visitors blocked.
            if exc.code == "LINK_GONE":
                await self._failures.count(address)
            raise

    async def _take(self, request: web.BaseRequest, token: str, address: str) -> Answer:
        """A form was sent: hand it over, and have the browser ask for the page again, so that a reload sends nothing."""
        self._check_origin(request)
        fields = await _fields(request)
        cookie = request.cookies.get(COOKIE, "")
        expected = _form_token(token, cookie) if _COOKIE.fullmatch(cookie) else ""
        if not expected or not hmac.compare_digest(fields.get("form", "").encode(), expected.encode()):
            raise Refusal(
                "INVALID_REQUEST", "The page was too old, or cookies are off: open the link again.", status=403
            )
        try:
            sent = await self._link.send(token, fields, address=address)
        except Refusal as exc:
            if exc.status == 504:  # the platform is slow: the sign-in goes on, and the page tells how it ends
                return self._see_other(token)
            if exc.code not in {"INVALID_REQUEST", "CONFLICT"}:
                raise
            await self._failures.count(address)
            return self._page(request, token, await self._link.show(token), status=400, problem=exc.public)
        if not sent.is_done:
            await self._failures.count(address)
        answer = self._see_other(token) if sent.page is None else html_answer(200, sent.page)
        if sent.kept is not None:
            keep(answer, sent.kept, is_https=self._is_https(request))
        return answer

    def _page(
        self, request: web.BaseRequest, token: str, shown: Any, *, status: int = 200, problem: str = ""
    ) -> Answer:
        cookie = request.cookies.get(COOKIE, "")
        is_known = _COOKIE.fullmatch(cookie) is not None
        if not is_known:
            cookie = secrets.token_urlsafe(24)
        answer = html_answer(status, self._link.render(shown, form=_form_token(token, cookie), problem=problem))
        if not is_known:
            answer.set_cookie(
                COOKIE, cookie, max_age=COOKIE_SECONDS, path=self.prefix, httponly=True, samesite="Strict",
                secure=self._is_https(request),
            )  # fmt: skip
        return answer

    def _see_other(self, token: str) -> Answer:
        answer = html_answer(303, b"")
        answer.headers["Location"] = self.prefix + token
        return answer

    def _check_origin(self, request: web.BaseRequest) -> None:
        """Raise Refusal (403) for a form that did not come from our own page."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        own = self._origin or origin_of(request, self._proxies)
        is_own = (origin == own and bool(own)) if origin is not None else site == "same-origin"
        if not is_own or site not in {None, "same-origin", "none"}:
            raise Refusal("INVALID_REQUEST", "The form did not come from this page: open the link again.", status=403)


def _form_token(token: str, cookie: str) -> str:
    """What only a page that was opened by this link in this browser can send along."""
    return hmac.new(token.encode(), cookie.encode(), hashlib.sha256).hexdigest()


async def _fields(request: web.BaseRequest) -> dict[str, str]:
    """The fields of a form. Raises Refusal: 415, 413, 400."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "A form is expected here.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "The form must be sent as it is.")
    if (request.content_length or 0) > FORM_BYTES_MAX:
        raise Refusal("BODY_TOO_LARGE", "What was typed is too long.")
    try:
        body = await read_body(request, bytes_max=FORM_BYTES_MAX, timeout_s=BODY_SECONDS)
        fields = parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=8, errors="strict"
        )
    except BodyTooLarge:
        raise Refusal("BODY_TOO_LARGE", "What was typed is too long.") from None
    except (BodyBroken, ValueError):
        raise Refusal("INVALID_REQUEST", "The form could not be read: send it again.") from None
    return {name: values[-1] for name, values in fields.items()}


def kept_name(*, is_https: bool) -> str:
    """The cookie of `Kept`: no other site, and no subdomain of ours, can set one with that prefix."""
    return "__Host-consent" if is_https else "consent"


def keep(answer: Answer, kept: Kept, *, is_https: bool) -> None:
    """Have the browser keep it. Lax: it comes back by a link on the platform's site."""
    answer.set_cookie(
        kept_name(is_https=is_https), kept.value, max_age=kept.seconds, path="/", httponly=True, samesite="Lax",
        secure=is_https,
    )  # fmt: skip


def html_answer(status: int, body: bytes) -> Answer:
    """A page, or the way to one, with the headers of all pages."""
    return Answer(status=status, body=body, headers=_HEADERS.copy())


def _style() -> Answer:
    headers = _HEADERS.copy()
    headers["Content-Type"] = "text/css; charset=utf-8"
    headers["Cache-Control"] = "public, max-age=3600"
    return Answer(status=200, body=STYLE, headers=headers)
