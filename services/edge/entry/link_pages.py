"""The pages behind one-time links, `/connect/{token}` (where a platform's password is typed), `/join/{token}` and `/password/{token}`.

No script, no cookies but the form's own, nothing kept by browsers or proxies. The token is never logged. A form is taken only
from our own page in the same browser (origin, and a token bound to a cookie), at most some failures a minute per address.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

from libs.common.http.server import Answer
from services.edge.domain.ports import Failures
from services.edge.domain.refusal import Refusal
from services.edge.entry.page import STYLE_PATH
from services.edge.entry.pages import METHODS, Pages, form_of, html, see_other, style
from services.edge.entry.proxies import TrustedProxies

COOKIE: Final = "connect"
COOKIE_SECONDS: Final = 900
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


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
        super().__init__(failures=failures, proxies=proxies, require_https=require_https, base_url=base_url)
        self.prefix = page.prefix
        self.name = page.name
        self._link = page

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if request.rel_url.raw_path == STYLE_PATH and request.method in {"GET", "HEAD"}:
            return style()
        self._check_https(request)
        if request.method not in METHODS:
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
        fields = {name: values[-1] for name, values in (await form_of(request)).items()}
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
                return see_other(self.prefix + token)
            if exc.code not in {"INVALID_REQUEST", "CONFLICT"}:
                raise
            await self._failures.count(address)
            return self._page(request, token, await self._link.show(token), status=400, problem=exc.public)
        if not sent.is_done:
            await self._failures.count(address)
        answer = see_other(self.prefix + token) if sent.page is None else html(200, sent.page)
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
        answer = html(status, self._link.render(shown, form=_form_token(token, cookie), problem=problem))
        if not is_known:
            answer.set_cookie(
                COOKIE, cookie, max_age=COOKIE_SECONDS, path=self.prefix, httponly=True, samesite="Strict",
                secure=self._is_https(request),
            )  # fmt: skip
        return answer


def _form_token(token: str, cookie: str) -> str:
    """What only a page that was opened by this link in this browser can send along."""
    return hmac.new(token.encode(), cookie.encode(), hashlib.sha256).hexdigest()


def kept_name(*, is_https: bool) -> str:
    """The cookie of `Kept`: no other site, and no subdomain of ours, can set one with that prefix."""
    return "__Host-consent" if is_https else "consent"


def keep(answer: Answer, kept: Kept, *, is_https: bool) -> None:
    """Have the browser keep it. Lax: it comes back by a link on the platform's site."""
    answer.set_cookie(
        kept_name(is_https=is_https), kept.value, max_age=kept.seconds, path="/", httponly=True, samesite="Lax",
        secure=is_https,
    )  # fmt: skip
