"""Pages that know who is signed in: the session's cookie, and a form's token that only such a page can hold.

The cookie is `__Host-sid` over HTTPS; plain `sid` exists over plain HTTP only, which no edge outside of development takes. Its text
is a session's only key: it is never logged, and auth knows it by its digest.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

from aiohttp import web

from libs.common.contracts.sign_in import SessionShown
from libs.common.http.server import Answer
from services.edge.domain.refusal import Refusal
from services.edge.entry.pages import Pages, form_of, see_other
from services.edge.usecases.keep_session import KeepSession

SIGN_IN: Final = "/account/sign-in"
SESSION_SECONDS: Final = 7 * 86_400
FORM_SECONDS: Final = 3_600
# Where a sign-in may lead: our own pages, and nowhere else (RFC 9700 section 4.11).
_NEXT: Final = re.compile(r"/account(?:/[a-z-]+)?|/oauth2/auth\?[!-~]{1,4000}")
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


class SessionPages(Pages):
    """A handler of such pages."""

    def __init__(self, sessions: KeepSession, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._sessions = sessions

    def _cookie(self, request: web.BaseRequest) -> str:
        """The session's cookie, or nothing."""
        text = request.cookies.get(self._cookie_name(request, "sid"), "")
        return text if _TEXT.fullmatch(text) else ""

    async def _who(self, request: web.BaseRequest) -> SessionShown | None:
        cookie = self._cookie(request)
        return await self._sessions.who(cookie) if cookie else None

    def _begin_session(self, answer: Answer, request: web.BaseRequest, cookie: str) -> None:
        self._set_cookie(answer, request, "sid", cookie, SESSION_SECONDS)
        self._drop_cookie(answer, request, "form")

    def _end_session(self, answer: Answer, request: web.BaseRequest) -> None:
        self._drop_cookie(answer, request, "sid")

    def _form_secret(self, request: web.BaseRequest) -> tuple[str, bool]:
        """What the token of a form is bound to before anybody is signed in; True: it was made just now."""
        text = request.cookies.get(self._cookie_name(request, "form"), "")
        return (text, False) if _TEXT.fullmatch(text) else (secrets.token_urlsafe(24), True)

    def _keep_form_secret(self, answer: Answer, request: web.BaseRequest, text: str) -> None:
        self._set_cookie(answer, request, "form", text, FORM_SECONDS)

    async def _form(self, request: web.BaseRequest, secret: str) -> Mapping[str, Sequence[str]]:
        """A form that came from our own page, in this browser. Raises Refusal: 403, 413, 415, 400."""
        self._check_origin(request)
        fields = await form_of(request)
        given = (fields.get("form") or [""])[-1]
        if not secret or not hmac.compare_digest(given.encode(), form_token(secret).encode()):
            raise Refusal("INVALID_REQUEST", "The page was too old, or cookies are off: open it again.", status=403)
        return fields

    def _cookie_name(self, request: web.BaseRequest, name: str) -> str:
        return f"__Host-{name}" if self._is_https(request) else name

    def _set_cookie(self, answer: Answer, request: web.BaseRequest, name: str, text: str, seconds: int) -> None:
        answer.set_cookie(
            self._cookie_name(request, name), text, max_age=seconds, path="/", httponly=True, samesite="Lax",
            secure=self._is_https(request),
        )  # fmt: skip

    def _drop_cookie(self, answer: Answer, request: web.BaseRequest, name: str) -> None:
        answer.del_cookie(
            self._cookie_name(request, name), path="/", httponly=True, samesite="Lax", secure=self._is_https(request)
        )


def form_token(secret: str) -> str:
    """What only a page in the browser with this cookie can send along; it does not give the cookie away."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def to_sign_in(back: str) -> Answer:
    """Sign in first, then come back."""
    return see_other(f"{SIGN_IN}?next={quote(back, safe='')}")


def next_of(request: web.BaseRequest) -> str:
    """Where a sign-in leads."""
    raw = request.rel_url.raw_query_string
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if name == "next" and _NEXT.fullmatch(text := unquote(value)):
            return text
    return "/account"
