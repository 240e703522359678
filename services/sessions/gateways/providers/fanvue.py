"""The provider `fanvue`: the platform's official API, to which the creator consents at the platform itself (OAuth 2.0
authorization code with PKCE, "Connect with Fanvue"). Nobody's password passes through here.

Calls go out as those of any platform (`session.py`), with a bearer token and a version where others have a cookie. Tokens are
asked for here. A refresh token is good for one renewal, so no request to the token endpoint is ever repeated by itself.
"""

import base64
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.catalogue import catalogue
from libs.common.http.client import HttpAnswer, HttpClient, HttpError
from libs.common.settings import Secret, SettingsError
from libs.common.telemetry.log import logger
from services.sessions.domain.credentials import Credentials, Session
from services.sessions.domain.errors import GRANT_REFUSED, ChallengeExpired, PlatformTrouble, SignInRefused
from services.sessions.domain.ports import SignedIn
from services.sessions.domain.upstream_call import UpstreamAnswer, UpstreamRequest
from services.sessions.gateways.providers.dialect import Dialect, member
from services.sessions.gateways.providers.session import SIGN_IN_SECONDS, SessionProvider, retry_after

NAME: Final = "fanvue"
VERSION_HEADER: Final = "X-Fanvue-API-Version"
OFFLINE_SCOPES: Final = ("openid", "offline_access", "offline")  # without them the platform gives no refresh token
SELF_SCOPE: Final = "read:self"  # whose account it is
ACCOUNT_FIELDS: Final = ("uuid", "id")  # of the platform's own answer about the account; the first that is there
ACCOUNT_TRIES: Final = 3
LIFETIME_SECONDS_MAX: Final = (
    366 * 86_400
)  # of an access token; what lasts longer is a mistake, and is renewed when refused
CLIENT_PAUSE_MS: Final = 300_000  # after the platform refused us, not a user: nothing here can cure that
_PATHS: Final = {"authorize": "/oauth2/auth", "token": "/oauth2/token", "revoke": "/oauth2/revoke"}
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}")
_log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanvueApp:
    """Our app as it is registered at the platform, and where the platform is."""

    auth_url: str
    api_url: str
    prefix: str
    version: str
    client_id: str
    client_secret: Secret
    redirect_url: str
    scopes: tuple[str, ...]


def asked_scopes(setting: str) -> tuple[str, ...]:
    """What a creator is asked for: all that the catalogue's calls need, or those of them that `setting` names; with what
    renewing takes. Raises SettingsError for a scope that no call needs.
    """
    needed = {scope for route in catalogue().values() if route.fanvue_upstream for scope in route.scopes}
    wanted = set(setting.split()) or needed
    if unknown := wanted - needed - set(OFFLINE_SCOPES):
        raise SettingsError(f"FANGATE_FANVUE_SCOPES: no call needs {', '.join(sorted(unknown))}")
    return (*OFFLINE_SCOPES, *sorted(wanted - set(OFFLINE_SCOPES) | {SELF_SCOPE}))


class FanvueProvider:
    """The ports `Provider` and `Consents`."""

    def __init__(self, http: HttpClient, app: FanvueApp, *, clock: Clock) -> None:
        self._http = http
        self._app = app
        self._clock = clock
        self._auth_url = app.auth_url.rstrip("/")
        dialect = Dialect(prefix=app.prefix, headers={VERSION_HEADER: app.version})
        self._calls = SessionProvider(http, name=NAME, url=app.api_url, dialect=dialect, clock=clock)
        login = f"{quote(app.client_id, safe='')}:{quote(app.client_secret.reveal(), safe='')}"  # RFC 6749 §2.3.1
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._client_refused_until_ms = 0

    @property
    def issuer(self) -> str:
        return self._auth_url

    def url(self, challenge: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self._app.client_id,
            "redirect_uri": self._app.redirect_url,
            "scope": " ".join(self._app.scopes),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._auth_url}{_PATHS['authorize']}?{urlencode(query, quote_via=quote)}"

    async def exchange(self, code: str, verifier: str) -> SignedIn:
        """Tokens for a code, and whose they are. A grant whose account cannot be had is given back: its code is gone."""
        fields = {"code": code, "redirect_uri": self._app.redirect_url, "code_verifier": verifier}
        try:
            granted = await self._token("authorization_code", fields, refusal="consent_refused")
        except _ClientRefused as exc:
            raise SignInRefused("client_refused") from exc
        try:
            account = await self._account(granted.session)
        except PlatformTrouble as exc:
            with contextlib.suppress(PlatformTrouble):
                await self.sign_out(granted.session)
            raise SignInRefused("account_unknown") from exc
        session = msgspec.structs.replace(granted.session, account=account)
        return SignedIn(account=account, session=session, ends_at=granted.ends_at)

    async def sign_in(self, _credentials: Credentials) -> SignedIn:
        """There is no password that could be used."""
        raise SignInRefused("no_consent")

    async def confirm(self, _challenge: str, _code: str) -> SignedIn:
        """There are no codes of ours to answer: the platform asks for its own."""
        raise ChallengeExpired

    async def renew(self, session: Session) -> SignedIn:
        """Fresh tokens for the refresh token, which is used up by that; whoever asks keeps them before they are used."""
        if not session.refresh_token:
            raise SignInRefused(GRANT_REFUSED)
        granted = await self._token("refresh_token", {"refresh_token": session.refresh_token}, refusal=GRANT_REFUSED)
        renewed = msgspec.structs.replace(
            granted.session,
            refresh_token=granted.session.refresh_token or session.refresh_token,  # RFC 6749 §6: it may stay the same
            account=session.account,
        )
        return SignedIn(account=session.account, session=renewed, ends_at=granted.ends_at)

    async def sign_out(self, session: Session) -> None:
        """Revoke the whole grant (RFC 7009)."""
        kind = "refresh_token" if session.refresh_token else "access_token"
        token = session.refresh_token or session.access_token
        answer = await self._post("revoke", {"token": token, "token_type_hint": kind})
        if answer.status >= 300:
            _log.warning("platform trouble", provider=NAME, outcome="sign-out", detail=f"revoke: {answer.status}")
            raise PlatformTrouble(f"revoke: status {answer.status}")

    async def call(self, session: Session, request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        """As on any platform."""
        return await self._calls.call(session, request, timeout_ms=timeout_ms)

    async def _account(self, session: Session) -> str:
        """The account's id. Reading it may be repeated; what the platform refuses is not. Raises PlatformTrouble."""
        request = UpstreamRequest(method="GET", target="/users/me")
        tries = 0
        while True:
            tries += 1
            try:
                answer = await self.call(session, request, timeout_ms=int(1000 * SIGN_IN_SECONDS))
            except PlatformTrouble:
                if tries >= ACCOUNT_TRIES:
                    raise
                continue
            if answer.status >= 500 and tries < ACCOUNT_TRIES:
                continue
            value = _decoded(answer.body)
            for field in ACCOUNT_FIELDS:
                account = member(value, field)
                if answer.status < 300 and isinstance(account, int | str) and str(account):
                    return str(account)
            raise PlatformTrouble(f"/users/me: status {answer.status} without an account")

    async def _token(self, grant_type: str, fields: Mapping[str, str], *, refusal: str) -> SignedIn:
        """Ask for tokens, once; the answer's account is still empty. Raises SignInRefused(`refusal`) when the platform does not
        know the code or refresh token (any more), PlatformTrouble for all else: what is ours to cure must end no model.
        """
        if self._clock.stopwatch_ms() < self._client_refused_until_ms:
            raise _ClientRefused("token: the platform refused this gateway a moment ago")
        answer = await self._post("token", {"grant_type": grant_type, **fields})
        value = _decoded(answer.body)
        if 400 <= answer.status < 500:
            error = str(member(value, "error"))
            if error == "invalid_grant":
                raise SignInRefused(refusal)
            # Our name, secret, address or scopes are wrong there. Asking again at once would be refused again (R185).
            self._client_refused_until_ms = self._clock.stopwatch_ms() + CLIENT_PAUSE_MS
            _log.error("platform refuses this gateway", provider=NAME, status=answer.status, detail=_word(error))
            raise _ClientRefused(f"token: status {answer.status} {_word(error)}")
        access, refresh = member(value, "access_token"), member(value, "refresh_token")
        kind, lifetime = member(value, "token_type"), member(value, "expires_in")
        if answer.status >= 300 or not _is_token(access) or str(kind).lower() != "bearer":
            raise PlatformTrouble(f"token: status {answer.status} without a bearer token")
        ends_at = None
        if isinstance(lifetime, int | float) and lifetime is not True and 0 < lifetime < LIFETIME_SECONDS_MAX:
            ends_at = self._clock.now() + timedelta(seconds=lifetime)
        session = Session(access_token=str(access), refresh_token=str(refresh) if _is_token(refresh) else "")
        return SignedIn(account="", session=session, ends_at=ends_at)

    async def _post(self, what: str, fields: Mapping[str, str]) -> HttpAnswer:
        """A form to the authorization server. Raises PlatformTrouble, whose text names the endpoint, never what was sent."""
        try:
            answer = await self._http.request(
                "POST", self._auth_url + _PATHS[what], headers=self._headers, body=urlencode(fields).encode(),
                timeout_s=SIGN_IN_SECONDS,
            )  # fmt: skip
        except HttpError as exc:
            _log.warning("platform trouble", provider=NAME, outcome="sign-in", detail=f"{what}: {exc}")
            raise PlatformTrouble(f"{what}: {exc}") from exc
        if answer.status == 429 or answer.status >= 500:
            _log.warning("platform trouble", provider=NAME, outcome="sign-in", detail=f"{what}: {answer.status}")
            raise PlatformTrouble(f"{what}: status {answer.status}", retry_after_s=retry_after(answer.headers))
        return answer


class _ClientRefused(PlatformTrouble):
    """The platform does not take this gateway for a client of its own."""


def _is_token(value: object) -> bool:
    """A token that can stand in a header."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _word(error: str) -> str:
    """The platform's error code, if it is one."""
    return error if re.fullmatch(r"[a-z_]{1,64}", error) else "unreadable"


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
