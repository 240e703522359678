"""The token endpoint counts what a client does there, and a stranger takes nothing from it. No auth behind it: what it would say is given."""

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.apps import ExchangeCode, RefreshTokens, RevokeToken, TokenAnswer
from libs.common.http.server import HttpServer
from libs.common.peppers import PepperRing
from libs.common.redis.client import Redis
from services.edge.domain.refusal import Refusal
from services.edge.entry.oauth_endpoints import OAuthEndpoints
from services.edge.entry.proxies import TrustedProxies
from services.edge.store.failures import CountedFailures
from services.edge.store.pace import CountedCalls
from services.edge.usecases.trade_tokens import TradeTokens
from tests.support.services_double import ServicesDouble

CALLS_MAX = 3
CLOCK = SystemClock()
GIVEN = TokenAnswer(scopes=("chats:read",), expires_in_s=3_600)


class NoVersions:
    """Nobody's rights moved."""

    async def bring(self, *_: Any) -> None:
        raise AssertionError("no version moved")


@dataclass
class Endpoint:
    """`/oauth2/*` of one edge, and the services behind it."""

    session: aiohttp.ClientSession
    auth: ServicesDouble = field(default_factory=ServicesDouble)

    async def call(
        self,
        client: UUID,
        secret: str | None = None,
        *,
        path: str = "/oauth2/token",
        address: str = "192.0.2.1",
        **form: str,
    ) -> tuple[int, str]:
        """Status, and what `Retry-After` says."""
        headers = {"X-Forwarded-For": address}
        if secret is None:
            form["client_id"] = str(client)
        else:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
        form = {"grant_type": "refresh_token", "refresh_token": "fgr_x"} | form
        async with self.session.post(path, data=form, headers=headers) as answer:
            assert (await answer.json()).get("error") != "server_error"
            return answer.status, answer.headers.get("Retry-After", "")

    def says(self, answer: TokenAnswer | Exception) -> None:
        self.auth.replies = dict.fromkeys((ExchangeCode, RefreshTokens, RevokeToken), answer)


@pytest.fixture
async def endpoint(redis_url: str) -> AsyncIterator[Endpoint]:
    async with contextlib.AsyncExitStack() as ends:
        redis = Redis.create(redis_url, size_max=2)
        ends.push_async_callback(redis.close)
        auth = ServicesDouble()
        tokens = TradeTokens(PepperRing.parse("a:" + "11" * 32), auth, NoVersions(), CLOCK)  # type: ignore[arg-type]
        pages = OAuthEndpoints(
            tokens, CountedCalls(redis, CLOCK, calls_max=CALLS_MAX), failures=CountedFailures(redis, CLOCK, scope="client-"),
            proxies=TrustedProxies.parse("127.0.0.1"), require_https=False,
        )  # fmt: skip
        server = await HttpServer.start(
            pages, on_bad_http=lambda _: aiohttp.web.Response(), host="127.0.0.1", port=0, drain_s=1.0
        )
        ends.push_async_callback(server.close)
        session = await ends.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{server.port}"))
        running = Endpoint(session, auth)
        running.says(GIVEN)
        yield running


@pytest.mark.parametrize("grant_type", ["refresh_token", "authorization_code"])
async def test_one_call_too_many_is_429_before_auth_is_asked_and_from_wherever_the_client_calls(
    endpoint: Endpoint, grant_type: str
) -> None:
    client, more = (
        uuid4(),
        {"grant_type": grant_type, "code": "c", "redirect_uri": "https://a.test/", "code_verifier": "v"},
    )
    given = [await endpoint.call(client, "right", address=f"192.0.2.{n}", **more) for n in range(CALLS_MAX)]
    assert given == [(200, "")] * CALLS_MAX
    asked = len(endpoint.auth.asked)

    status, wait = await endpoint.call(client, "right", address="192.0.2.99", **more)

    assert (status, 1 <= int(wait) <= 60) == (429, True)
    assert len(endpoint.auth.asked) == asked
    assert await endpoint.call(uuid4(), "right", **more) == (200, "")


async def test_what_the_client_asks_in_vain_counts_as_well(endpoint: Endpoint) -> None:
    client = uuid4()
    endpoint.says(TokenAnswer(error="invalid_grant", description="It is used"))
    assert [(await endpoint.call(client, "right"))[0] for _ in range(CALLS_MAX + 1)] == [400] * CALLS_MAX + [429]


async def test_a_stranger_with_a_wrong_secret_takes_nothing_from_the_client(endpoint: Endpoint) -> None:
    client = uuid4()
    endpoint.says(TokenAnswer(error="invalid_client", description="Its secret is not right"))
    assert [(await endpoint.call(client, "wrong"))[0] for _ in range(2 * CALLS_MAX)] == [401] * (2 * CALLS_MAX)
    endpoint.says(GIVEN)
    for wrong in ({"grant_type": "password"}, {"grant_type": ""}):
        assert (await endpoint.call(client, "wrong", **wrong))[0] == 400
    assert [(await endpoint.call(client, "right"))[0] for _ in range(CALLS_MAX + 1)] == [200] * CALLS_MAX + [429]


async def test_a_call_that_auth_did_not_answer_does_not_count(endpoint: Endpoint) -> None:
    client = uuid4()
    endpoint.says(Refusal("UNAVAILABLE"))
    assert [(await endpoint.call(client, "right"))[0] for _ in range(2 * CALLS_MAX)] == [503] * (2 * CALLS_MAX)
    endpoint.says(GIVEN)
    assert (await endpoint.call(client, "right"))[0] == 200


async def test_a_client_that_is_nothing_but_a_name_is_counted_by_address(endpoint: Endpoint) -> None:
    client = uuid4()
    assert [(await endpoint.call(client))[0] for _ in range(CALLS_MAX + 1)] == [200] * CALLS_MAX + [429]
    assert (await endpoint.call(client, address="198.51.100.7"))[0] == 200


async def test_a_token_can_be_given_back_at_any_pace(endpoint: Endpoint) -> None:
    client = uuid4()
    calls = [await endpoint.call(client, "right", path="/oauth2/revoke", token="fgr_x") for _ in range(3 * CALLS_MAX)]
    assert calls == [(200, "")] * (3 * CALLS_MAX)
