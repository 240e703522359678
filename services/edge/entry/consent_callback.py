"""Where a platform sends browsers back to, `/connect/fanvue/callback`: the code goes on, sealed, and the browser to its link's
page, so that the code stays in no history, no referrer and no log.

A browser is let in with the cookie that was set when it left: `__Host-consent`, or `consent` where there is no HTTPS (in
development). It comes back by a link on another site, so the cookie is `SameSite=Lax`.
"""

import re
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from libs.common.http.server import Answer
from services.edge.domain.consent import WORD, Trip
from services.edge.domain.ports import Failures
from services.edge.domain.refusal import Refusal
from services.edge.entry.link_pages import COOKIE_SECONDS, Kept, keep, kept_name
from services.edge.entry.pages import Pages, see_other
from services.edge.entry.proxies import TrustedProxies
from services.edge.usecases.ask_consent import AskConsent

PATH: Final = "/connect/fanvue/callback"
PARAMETERS_MAX: Final = 16
_CODE: Final = re.compile(r"[\x21-\x7e]{1,2048}")
_ERROR: Final = re.compile(r"[\x20-\x7e]{1,100}")
_ISSUER: Final = re.compile(r"[\x21-\x7e]{0,255}")
_NOT_OURS: Final = "This browser did not start this connection, or it took too long: open the link again, in the browser you want to use."


class ConsentCallback(Pages):
    """The handler of that one path."""

    prefix = PATH
    name = "consent_callback"

    def __init__(
        self, ask: AskConsent, *, link_prefix: str, failures: Failures, proxies: TrustedProxies, require_https: bool
    ) -> None:
        super().__init__(failures=failures, proxies=proxies, require_https=require_https)
        self._ask = ask
        self._link_prefix = link_prefix

    async def _answer(self, request: web.BaseRequest) -> Answer:
        self._check_https(request)
        if request.method != "GET":
            raise Refusal("METHOD_NOT_ALLOWED", allow="GET")
        if request.rel_url.raw_path != PATH:
            raise Refusal("LINK_GONE")
        address = self._caller(request)
        given = _parameters(request)
        token, _, secret = request.cookies.get(kept_name(is_https=self._is_https(request)), "").partition(".")
        state = given.get("state", "")
        if not all(WORD.fullmatch(word) for word in (token, secret, state)):
            raise Refusal("INVALID_REQUEST", _NOT_OURS, status=403)
        code, error, issuer = given.get("code", ""), given.get("error", ""), given.get("iss", "")
        has_code = _CODE.fullmatch(code) is not None
        if has_code is bool(error) or (error and not _ERROR.fullmatch(error)) or not _ISSUER.fullmatch(issuer):
            raise Refusal("INVALID_REQUEST", "The platform's answer cannot be read: open the link again.")
        try:
            await self._ask.finish(Trip(state, secret), code=code, error=error, issuer=issuer, address=address)
        except Refusal as exc:
            if exc.code == "LINK_GONE":
                await self._failures.count(address)
                raise Refusal("INVALID_REQUEST", _NOT_OURS, status=403) from exc
            if exc.status != 504:  # the platform is slow: the exchange goes on, and the page tells how it ends
                raise
        answer = see_other(self._link_prefix + token)
        keep(answer, Kept("", 0), is_https=self._is_https(request))
        return answer


def _parameters(request: web.BaseRequest) -> dict[str, str]:
    """The query by names. Raises Refusal for one that comes twice: which of them is meant is not ours to guess."""
    try:
        pairs = parse_qsl(
            request.rel_url.raw_query_string, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
        )
    except ValueError:
        pairs = [("", ""), ("", "")]
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refusal("INVALID_REQUEST", "The platform's answer cannot be read: open the link again.")
    return dict(pairs)


def kept(token: str, trip: Trip) -> Kept:
    """What a browser keeps on its way: which link it came from, and the secret."""
    return Kept(f"{token}.{trip.secret}", COOKIE_SECONDS)
