"""The provider `fanvue` before a platform that answers as told: what is sent, what is made of each answer, what is not repeated."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from multidict import CIMultiDict

from libs.common.http.client import HttpAnswer, HttpError
from libs.common.settings import Secret
from services.sessions.domain.credentials import Credentials, Session
from services.sessions.domain.errors import ChallengeExpired, PlatformTrouble, SignInRefused
from services.sessions.domain.pace import Allowance
from services.sessions.domain.upstream_call import UpstreamRequest
from services.sessions.gateways.providers.fanvue import CLIENT_PAUSE_MS, FanvueApp, FanvueProvider, asked_scopes
from tests.support.clock import FakeClock

TOKENS = {
    "access_token": "at",
    "refresh_token": "rt2",
    "token_type": "Bearer",
    "expires_in": 3_600,
    "scope": "read:self",
}
GRANT = Session(access_token="old", refresh_token="rt1", account="7")


@dataclass
class Platform:
    """`HttpClient`: answers in order what was given."""

    answers: list[HttpAnswer | HttpError] = field(default_factory=list)
    asked: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        assert timeout_s > 0
        self.asked.append((method, url, headers, body))
        answer = self.answers.pop(0)
        if isinstance(answer, HttpError):
            raise answer
        return answer

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        head = CIMultiDict({"Content-Type": "application/json", **named})
        text = b"" if body is None else json.dumps(body).encode()
        self.answers.append(HttpAnswer(status=status, headers=head, cookies={}, body=text))

    def form(self, number: int = -1) -> dict[str, str]:
        return dict(parse_qsl(self.asked[number][3].decode()))


class Bench:
    def __init__(self, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "auth_url": "https://auth.test/", "api_url": "https://api.test", "prefix": "/v9", "version": "2025-06-26",
            "client_id": "an:app", "client_secret": Secret("a secret"), "redirect_url": "https://us.test/connect/fanvue/callback",
            "scopes": asked_scopes("read:chat"),
        }  # fmt: skip
        self.platform, self.clock = Platform(), FakeClock()
        self.provider = FanvueProvider(self.platform, FanvueApp(**(fields | changes)), clock=self.clock)  # type: ignore[arg-type]


def test_the_address_asks_for_what_calls_need_and_what_renewing_takes() -> None:
    url = Bench().provider.url("C" * 43)
    assert url.startswith("https://auth.test/oauth2/auth?")
    assert parse_qs(urlsplit(url).query, strict_parsing=True) == {
        "response_type": ["code"], "client_id": ["an:app"], "redirect_uri": ["https://us.test/connect/fanvue/callback"],
        "scope": ["openid offline_access offline read:chat read:self"], "code_challenge": ["C" * 43],
        "code_challenge_method": ["S256"],
    }  # fmt: skip
    assert "a+secret" not in url
    assert "a%20secret" not in url


async def test_a_code_becomes_tokens_whose_account_is_known() -> None:
    bench = Bench()
    bench.platform.say(200, TOKENS)
    bench.platform.say(200, {"uuid": "0b3f-uuid", "id": 5})
    signed_in = await bench.provider.exchange("the code", "the verifier")
    assert signed_in.account == "0b3f-uuid"
    assert signed_in.session == Session(access_token="at", refresh_token="rt2", account="0b3f-uuid")
    assert signed_in.ends_at == bench.clock.now() + timedelta(hours=1)
    (_, token_url, headers, _), (method, me_url, me_headers, _) = bench.platform.asked
    assert token_url == "https://auth.test/oauth2/token"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"an%3Aapp:a%20secret"
    assert bench.platform.form(0) == {
        "grant_type": "authorization_code", "code": "the code", "code_verifier": "the verifier",
        "redirect_uri": "https://us.test/connect/fanvue/callback",
    }  # fmt: skip
    assert (method, me_url) == ("GET", "https://api.test/v9/users/me")
    assert (me_headers["Authorization"], me_headers["X-Fanvue-API-Version"]) == ("Bearer at", "2025-06-26")


async def test_a_renewal_shows_the_refresh_token_once_and_asks_for_nothing_else() -> None:
    bench = Bench()
    bench.platform.say(200, TOKENS)
    signed_in = await bench.provider.renew(GRANT)
    assert signed_in.session == Session(access_token="at", refresh_token="rt2", account="7")
    assert signed_in.account == "7"
    assert len(bench.platform.asked) == 1, "the new token is kept before anything uses it"
    assert bench.platform.form() == {"grant_type": "refresh_token", "refresh_token": "rt1"}


async def test_a_platform_that_does_not_rotate_leaves_the_refresh_token_as_it_was() -> None:
    bench = Bench()
    bench.platform.say(200, {**TOKENS, "refresh_token": None})
    assert (await bench.provider.renew(GRANT)).session.refresh_token == "rt1"


@pytest.mark.parametrize(
    "nonsense",
    [
        {}, [], None, "text", {**TOKENS, "access_token": ""}, {**TOKENS, "access_token": "a\r\nX: 1"}, {**TOKENS, "access_token": 5},
        {**TOKENS, "token_type": "mac"},
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_token_is_trouble(nonsense: Any) -> None:
    bench = Bench()
    bench.platform.say(200, nonsense)
    with pytest.raises(PlatformTrouble):
        await bench.provider.renew(GRANT)


async def test_a_lifetime_that_makes_no_sense_is_none() -> None:
    for lifetime in (None, -1, 0, "soon", True, 1e300):
        bench = Bench()
        bench.platform.say(200, {**TOKENS, "expires_in": lifetime})
        assert (await bench.provider.renew(GRANT)).ends_at is None


async def test_R185_a_refused_grant_is_asked_for_once_and_told_from_a_refused_gateway() -> None:
    bench = Bench()
    bench.platform.say(400, {"error": "invalid_grant", "error_description": "rt1 was used"})
    with pytest.raises(SignInRefused, match="grant_refused"):
        await bench.provider.renew(GRANT)
    bench.platform.say(400, {"error": "invalid_grant"})
    with pytest.raises(SignInRefused, match="consent_refused"):
        await bench.provider.exchange("code", "verifier")
    assert len(bench.platform.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418])
async def test_R185_a_gateway_that_is_refused_does_not_ask_again_for_a_while(status: int) -> None:
    bench = Bench()
    bench.platform.say(status, {"error": "invalid_client"})
    for _ in range(3):
        with pytest.raises(PlatformTrouble):
            await bench.provider.renew(GRANT)
    with pytest.raises(SignInRefused, match="client_refused"):
        await bench.provider.exchange("code", "verifier")
    assert len(bench.platform.asked) == 1
    bench.clock.ms += CLIENT_PAUSE_MS
    bench.platform.say(200, TOKENS)
    await bench.provider.renew(GRANT)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_the_platforms_own_trouble_is_no_refusal(status: int) -> None:
    bench = Bench()
    bench.platform.say(status, {"error": "invalid_grant"}, Retry_After="7")
    with pytest.raises(PlatformTrouble) as trouble:
        await bench.provider.renew(GRANT)
    assert trouble.value.retry_after_s == 7
    bench.platform.answers.append(HttpError("the connection ended", may_have_left=True))
    with pytest.raises(PlatformTrouble):
        await bench.provider.renew(GRANT)


async def test_whose_account_it_is_is_read_again_after_trouble_and_given_back_if_that_does_not_help() -> None:
    bench = Bench()
    bench.platform.say(200, TOKENS)
    bench.platform.say(500, {})
    bench.platform.answers.append(HttpError("reset", may_have_left=True))
    bench.platform.say(200, {"id": 12})
    assert (await bench.provider.exchange("code", "verifier")).account == "12"

    bench.platform.say(200, TOKENS)
    bench.platform.say(403, {})  # nothing that another try would cure
    bench.platform.say(200)
    with pytest.raises(SignInRefused, match="account_unknown"):
        await bench.provider.exchange("code", "verifier")
    assert bench.platform.asked[-1][1] == "https://auth.test/oauth2/revoke"
    assert bench.platform.form() == {"token": "rt2", "token_type_hint": "refresh_token"}
    assert bench.platform.answers == []


async def test_signing_out_revokes_the_grant_and_says_when_that_did_not_work() -> None:
    bench = Bench()
    bench.platform.say(200)
    await bench.provider.sign_out(GRANT)
    assert bench.platform.form() == {"token": "rt1", "token_type_hint": "refresh_token"}
    bench.platform.say(200)
    await bench.provider.sign_out(Session(access_token="at"))
    assert bench.platform.form() == {"token": "at", "token_type_hint": "access_token"}
    for status in (400, 401, 503):
        bench.platform.say(status)
        with pytest.raises(PlatformTrouble):
            await bench.provider.sign_out(GRANT)


async def test_there_are_no_passwords_and_no_codes_of_ours() -> None:
    provider = Bench().provider
    with pytest.raises(SignInRefused, match="no_consent"):
        await provider.sign_in(Credentials(email="a", password="b"))
    with pytest.raises(ChallengeExpired):
        await provider.confirm("challenge", "code")
    with pytest.raises(SignInRefused, match="grant_refused"):
        await provider.renew(Session(access_token="at"))


RATES = [
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30"}, Allowance(100, 7, 30)),
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1780000042"}, Allowance(100, 0, 42)),
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1779999999"}, Allowance(100, 0, 0)),
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"}, None),
    ({"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, None),
    ({"X-RateLimit-Limit": "1e3", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "x"}, None),
    ({"X-RateLimit-Limit": "9" * 40, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, None),
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000000"}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "allowance"), RATES)
async def test_what_the_platform_says_of_its_limit_is_read_or_let_be(
    headers: dict[str, str], allowance: Allowance | None
) -> None:
    bench = Bench()
    bench.platform.say(200, {}, **headers)
    request = UpstreamRequest(method="GET", target="/chats?size=2")
    answer = await bench.provider.call(GRANT, request, timeout_ms=1_000)
    assert answer.allowance == allowance
    assert bench.platform.asked[0][1] == "https://api.test/v9/chats?size=2"
    assert "Cookie" not in bench.platform.asked[0][2]


async def test_a_429_without_retry_after_says_when_by_its_reset() -> None:
    bench = Bench()
    bench.platform.say(
        429, {}, **{"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1780000042"}
    )
    answer = await bench.provider.call(GRANT, UpstreamRequest(method="GET", target="/chats"), timeout_ms=1_000)
    assert answer.retry_after_s == 42
