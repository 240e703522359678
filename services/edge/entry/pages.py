"""What all pages of people have in common: headers that no page goes without, forms that come from ourselves only, errors as pages,
and a log line without anything that could give a secret away.
"""

import abc
import time
from typing import Final
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
from services.edge.entry.page import STYLE, message_page
from services.edge.entry.proxies import TrustedProxies, origin_of

FORM_BYTES_MAX: Final = 8_192
BODY_SECONDS: Final = 10.0
FIELDS_MAX: Final = 40
METHODS: Final = frozenset({"GET", "HEAD", "POST"})
POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'{also}; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS: Final = CIMultiDict(
    {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY.format(also=""),
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


class Pages(abc.ABC):
    """A handler of pages. Answers everything, raises nothing: `_answer` may raise Refusal."""

    name: str  # in metrics and the log

    def __init__(self, *, failures: Failures, proxies: TrustedProxies, require_https: bool, base_url: str = "") -> None:
        """`base_url` is where our own pages come from; empty: wherever the request says it went."""
        self._failures = failures
        self._proxies = proxies
        self._require_https = require_https
        self._origin = "/".join(base_url.split("/")[:3])

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
            answer = self._refused(refusal)
            if refusal.retry_after_s:
                answer.headers["Retry-After"] = str(refusal.retry_after_s)
            if refusal.allow:
                answer.headers["Allow"] = refusal.allow
            if refusal.status == 413:
                answer.force_close()
        answer.headers["X-Request-Id"] = str(request_id)
        self._observe(request, request_id, answer.status, refusal, time.perf_counter() - started)
        return answer

    @abc.abstractmethod
    async def _answer(self, request: web.BaseRequest) -> Answer: ...

    def _refused(self, refusal: Refusal) -> Answer:
        return html(refusal.status, message_page(_TITLES.get(refusal.status, "This did not work"), refusal.public))

    def _check_https(self, request: web.BaseRequest) -> None:
        if self._require_https and not self._is_https(request):
            raise Refusal("HTTPS_REQUIRED", "Open this link by https://")

    def _check_blocked(self, address: str) -> None:
        if blocked_ms := self._failures.blocked_ms(address):
            wait_s = -(-blocked_ms // 1_000)
            raise Refusal("TOO_MANY_FAILED_AUTH", f"Wait {wait_s} seconds, then try again.", retry_after_s=wait_s)

    def _caller(self, request: web.BaseRequest) -> str:
        """The client's address. Raises Refusal (429) for one that was wrong too often."""
        address = self._address(request)
        self._check_blocked(address)
        return address

    def _check_origin(self, request: web.BaseRequest) -> None:
        """Raise Refusal (403) for a form that did not come from our own page."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        own = self._own_origin(request)
        is_own = (origin == own and bool(own)) if origin is not None else site == "same-origin"
        if not is_own or site not in {None, "same-origin", "none"}:
            raise Refusal("INVALID_REQUEST", "The form did not come from this page: open the link again.", status=403)

    def _own_origin(self, request: web.BaseRequest) -> str:
        return self._origin or origin_of(request, self._proxies)

    def _address(self, request: web.BaseRequest) -> str:
        return self._proxies.client(request.remote or "", request.headers.getall("X-Forwarded-For", ()))

    def _is_https(self, request: web.BaseRequest) -> bool:
        forwarded = request.headers.getall("X-Forwarded-Proto", ())
        return self._proxies.is_https(request.remote or "", forwarded, direct=request.secure)

    def _observe(
        self, request: web.BaseRequest, request_id: UUID, status: int, refusal: Refusal | None, seconds: float
    ) -> None:
        """Metrics, and a line without path, address, cookie or body: each could give a secret away."""
        INFLIGHT.dec()
        method = request.method if request.method in METHODS else "other"
        reason = "" if refusal is None else "caller" if status < 500 else "ours"
        REQUESTS.labels(self.name, method, f"{status // 100}xx", reason).inc()
        DURATION.labels(self.name).observe(seconds)
        facts = {} if refusal is None else {"code": refusal.code, "detail": refusal.detail}
        _log.info(
            self.name.replace("_", " "),
            request_id=str(request_id),
            method=method,
            status=status,
            ms=round(seconds * 1_000, 2),
            **facts,
        )


async def form_of(request: web.BaseRequest) -> dict[str, list[str]]:
    """The fields of a form, each with all that was sent for it. Raises Refusal: 415, 413, 400."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "A form is expected here.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "The form must be sent as it is.")
    if (request.content_length or 0) > FORM_BYTES_MAX:
        raise Refusal("BODY_TOO_LARGE", "What was typed is too long.")
    try:
        body = await read_body(request, bytes_max=FORM_BYTES_MAX, timeout_s=BODY_SECONDS)
        return parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except BodyTooLarge:
        raise Refusal("BODY_TOO_LARGE", "What was typed is too long.") from None
    except (BodyBroken, ValueError):
        raise Refusal("INVALID_REQUEST", "The form could not be read: send it again.") from None


def html(status: int, body: bytes) -> Answer:
    """A page."""
    return Answer(status=status, body=body, headers=_HEADERS.copy())


def see_other(location: str) -> Answer:
    """The browser asks there next, by GET, whatever it did before (RFC 9700 section 4.12)."""
    answer = html(303, b"")
    answer.headers["Location"] = location
    return answer


def style() -> Answer:
    """The style of all pages."""
    headers = _HEADERS.copy()
    headers["Content-Type"] = "text/css; charset=utf-8"
    headers["Cache-Control"] = "public, max-age=3600"
    return Answer(status=200, body=STYLE, headers=headers)
