"""The provider `session`: a platform that is signed in to with e-mail and password and then knows us by cookies.

The provider `sandbox` is this adapter on the sandbox's URL. There is no request signer in here and none is shipped: a
platform that demands one is not served (requirements.md section 8).
"""

import math
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

import msgspec
import orjson

from libs.common.clock import Clock
from libs.common.http.client import HttpAnswer, HttpClient, HttpError, HttpTimeout, HttpTooLarge
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import LATENCY_BUCKETS, Histogram
from services.sessions.domain.credentials import Credentials, Session
from services.sessions.domain.errors import (
    ChallengeExpired,
    Dropped,
    NotSent,
    PlatformTrouble,
    SignInRefused,
    TimedOut,
    Unusable,
)
from services.sessions.domain.pace import Allowance
from services.sessions.domain.ports import CodeAsked, SignedIn
from services.sessions.domain.upstream_call import UpstreamAnswer, UpstreamRequest
from services.sessions.gateways.providers.dialect import Dialect, member

SIGN_IN_SECONDS: Final = 20.0
COOKIES_MAX: Final = 20
RETRY_AFTER_MAX: Final = 3_600
_RATE_DIGITS_MAX: Final = 12
_JSON_TYPE: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_JSON_START: Final = re.compile(rb'[ \t\r\n]*[\[{"\-0-9tfn]')

UPSTREAM_SECONDS = Histogram(
    "fangate_upstream_duration_seconds", "Exchanges with platforms", ["provider", "outcome"], buckets=LATENCY_BUCKETS
)
_log = logger(__name__)
_OUTCOMES: Final = ("2xx", "4xx", "429", "5xx", "timeout", "dropped", "unusable", "other")


class SessionProvider:
    """The port `Provider` over HTTP."""

    def __init__(self, http: HttpClient, *, name: str, url: str, dialect: Dialect, clock: Clock) -> None:
        self._http = http
        self._name = name
        self._url = url.rstrip("/")
        self._dialect = dialect
        self._clock = clock
        self._headers = {"Accept": "application/json", **dialect.headers}
        self._seconds = {outcome: UPSTREAM_SECONDS.labels(name, outcome) for outcome in _OUTCOMES}

    async def sign_in(self, credentials: Credentials) -> SignedIn | CodeAsked:
        """Log in."""
        fields = {
            self._dialect.email_field: credentials.email,
            self._dialect.password_field: credentials.password,
        }
        answer = await self._post(self._dialect.login, fields)
        challenge = member(_decoded(answer), self._dialect.challenge_field)
        if isinstance(challenge, str) and challenge:
            return CodeAsked(challenge)
        return self._signed_in(answer, "credentials_refused", before=None)

    async def confirm(self, challenge: str, code: str) -> SignedIn:
        """Answer the challenge."""
        fields = {self._dialect.challenge_sent_as: challenge, self._dialect.code_field: code}
        answer = await self._post(self._dialect.two_factor, fields)
        if answer.status in self._dialect.challenge_gone_statuses:
            raise ChallengeExpired
        return self._signed_in(answer, "code_refused", before=None)

    async def renew(self, session: Session) -> SignedIn:
        """Ask for fresh cookies."""
        answer = await self._post(self._dialect.renew, {}, session)
        return self._signed_in(answer, "session_refused", before=session)

    async def sign_out(self, session: Session) -> None:
        """Log out."""
        await self._post(self._dialect.logout, {}, session)

    async def call(self, session: Session, request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        """Pass the call on and its answer back; bytes are not touched, JSON is not parsed."""
        name, value = session.header
        headers = {**self._headers, name: value}
        if request.body:
            headers["Content-Type"] = request.content_type or "application/json"
        started = time.perf_counter()
        outcome = "other"
        try:
            answer = await self._http.request(
                request.method,
                f"{self._url}{self._dialect.prefix}{request.target}",
                headers=headers,
                body=request.body,
                timeout_s=timeout_ms / 1000,
            )
            outcome = _outcome_of(answer.status)
            return self._answer(answer, int(1000 * (time.perf_counter() - started)))
        except HttpTimeout as exc:
            outcome = "timeout"
            _log.warning("platform trouble", provider=self._name, outcome=outcome, detail=str(exc))
            raise TimedOut(str(exc), may_have_left=exc.may_have_left) from exc
        except (HttpTooLarge, Unusable) as exc:
            outcome = "unusable"
            _log.warning("platform trouble", provider=self._name, outcome=outcome, detail=str(exc))
            raise Unusable(str(exc)) from exc
        except HttpError as exc:
            outcome = "dropped"
            _log.warning("platform trouble", provider=self._name, outcome=outcome, detail=str(exc))
            raise (Dropped if exc.may_have_left else NotSent)(str(exc)) from exc
        finally:
            self._seconds[outcome].observe(time.perf_counter() - started)

    def _answer(self, answer: HttpAnswer, upstream_ms: int) -> UpstreamAnswer:
        """The answer as it may be passed on. Raises Unusable for a success that is no JSON, and for redirects."""
        content_type, body = answer.headers.get("Content-Type", ""), answer.body
        if 300 <= answer.status < 400:
            raise Unusable(f"redirect {answer.status}")
        if body and not _is_json(content_type, body):
            if answer.status < 400:
                raise Unusable(f"status {answer.status} with {content_type or 'no content type'}, not JSON")
            body = b""  # an error page: its status says enough
        allowance = _allowance(answer.headers, self._clock)
        retry_after_s = retry_after(answer.headers)
        if answer.status == 429 and retry_after_s is None and allowance is not None:
            retry_after_s = max(1, allowance.reset_s)
        return UpstreamAnswer(
            status=answer.status,
            body=body,
            content_type=content_type,
            retry_after_s=retry_after_s,
            upstream_ms=upstream_ms,
            is_session_refused=answer.status in self._dialect.session_refused_statuses,
            allowance=allowance,
        )

    async def _post(self, path: str, fields: dict[str, str], session: Session | None = None) -> HttpAnswer:
        """A sign-in exchange. Raises PlatformTrouble; its text names the path, never what was sent."""
        headers = {**self._headers, "Content-Type": "application/json"}
        if session is not None:
            headers["Cookie"] = session.cookie
        try:
            answer = await self._http.request(
                "POST", self._url + path, headers=headers, body=orjson.dumps(fields), timeout_s=SIGN_IN_SECONDS
            )
        except HttpError as exc:
            _log.warning("platform trouble", provider=self._name, outcome="sign-in", detail=f"{path}: {exc}")
            raise PlatformTrouble(f"{path}: {exc}") from exc
        if answer.status == 429 or answer.status >= 500:
            _log.warning("platform trouble", provider=self._name, outcome="sign-in", detail=f"{path}: {answer.status}")
            raise PlatformTrouble(f"{path}: status {answer.status}", retry_after_s=retry_after(answer.headers))
        return answer

    def _signed_in(self, answer: HttpAnswer, refusal: str, *, before: Session | None) -> SignedIn:
        """Read a session out of an answer. Raises SignInRefused(`refusal`) for a no, PlatformTrouble for nonsense."""
        value = _decoded(answer)
        if answer.status in self._dialect.refused_statuses and value is not None:
            raise SignInRefused(refusal)
        account = member(value, self._dialect.account_field)
        if answer.status >= 300 or not isinstance(account, int | str) or not str(account):
            raise PlatformTrouble(f"sign-in: status {answer.status} without an account")
        cookie = _cookie_header(before, answer.cookies)
        if not cookie:
            raise PlatformTrouble("sign-in: no cookie was set")
        lifetime = member(value, self._dialect.lifetime_field)
        ends_at = None
        if isinstance(lifetime, int | float) and lifetime > 0:
            ends_at = self._clock.now() + timedelta(seconds=lifetime)
        return SignedIn(account=str(account), session=Session(cookie=cookie), ends_at=ends_at)


def _is_json(content_type: str, body: bytes) -> bool:
    """By what it says and how it starts; never by parsing."""
    return bool(_JSON_TYPE.match(content_type.strip()) and _JSON_START.match(body))


def _decoded(answer: HttpAnswer) -> Any:
    """A sign-in answer's JSON, or None."""
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _cookie_header(before: Session | None, fresh: Mapping[str, str]) -> str:
    """The Cookie header after an answer: what we had, overlaid by what it set."""
    cookies: dict[str, str] = {}
    if before is not None:
        try:
            cookies = {name: morsel.value for name, morsel in SimpleCookie(before.cookie).items()}
        except CookieError:
            cookies = {}
    cookies.update(fresh)
    pairs = [f"{name}={value}" for name, value in list(cookies.items())[:COOKIES_MAX] if value]
    return "; ".join(pairs)


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds of a Retry-After header; dates are rare on platforms and count as unsaid."""
    text = headers.get("Retry-After", "")
    return min(int(text), RETRY_AFTER_MAX) if text.isascii() and text.isdigit() else None


def _allowance(headers: Mapping[str, str], clock: Clock) -> Allowance | None:
    """What `X-RateLimit-*` say, if they say all three. The reset is a time (Unix seconds) or, where the number is small, a wait."""
    if "X-RateLimit-Limit" not in headers:
        return None  # most platforms: one look and no more
    limit, remaining, reset = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining", "Reset"))
    if not all(
        text.isascii() and text.isdigit() and len(text) <= _RATE_DIGITS_MAX for text in (limit, remaining, reset)
    ):
        return None
    reset_s = int(reset)
    if reset_s > RETRY_AFTER_MAX:
        reset_s = math.ceil(reset_s - clock.now_ms() / 1000)
    if int(limit) == 0 or reset_s > RETRY_AFTER_MAX:
        return None
    return Allowance(limit=int(limit), remaining=int(remaining), reset_s=max(0, reset_s))


def _outcome_of(status: int) -> str:
    if status == 429:
        return "429"
    kind = f"{status // 100}xx"
    return kind if kind in _OUTCOMES else "other"
