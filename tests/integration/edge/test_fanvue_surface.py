"""The surface `/fanvue`: the platform's bare bytes, the key's own model, headroom on every answer, the window of a key."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from libs.common.contracts.auth import PERSONAL_KEYS, Limits
from libs.common.contracts.catalogue import catalogue
from libs.common.ids import new_key, uuid7
from services.edge.domain.upstream import Upstream
from services.edge.entry.surfaces.fanvue import Fanvue
from tests.support.edge import PLATFORM_BODY, RunningEdge, running_edge
from tests.support.gateway_client import Answer

VERSION = {"X-Fanvue-API-Version": "2025-06-26"}
HEADROOM = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
PERSONAL: dict[str, Any] = {"kind": "personal", "features": frozenset({PERSONAL_KEYS})}


class Caller:
    """Asks one edge; the key is bound to a model unless said otherwise."""

    def __init__(self, edge: RunningEdge, session: aiohttp.ClientSession) -> None:
        self.edge, self._session = edge, session

    async def ask(self, key: str, path: str = "/chats", method: str = "GET", **options: Any) -> Answer:
        headers = {"X-Fanvue-API-Key": key} | VERSION | options.pop("headers", {})
        url = f"{self.edge.url}/fanvue{path}"
        async with self._session.request(method, url, headers=headers, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


@contextlib.asynccontextmanager
async def a_caller(redis_url: str, **options: Any) -> AsyncIterator[Caller]:
    async with running_edge(redis_url, **options) as edge, aiohttp.ClientSession() as session:
        yield Caller(edge, session)


def test_it_serves_what_the_catalogue_says_and_nothing_else() -> None:
    calls = [route for route in Fanvue().routes() if route.permission is not None]
    assert len(calls) == 46
    assert {(route.method, route.path.removeprefix("/fanvue")) for route in calls} == {
        (call.method, call.fanvue_alias) for call in catalogue().values() if call.fanvue_alias is not None
    }


async def test_R031_a_success_is_the_platforms_body_bare_with_headroom_in_headers(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, principal, model = caller.edge.organization(10, is_bound=True)
        answer = await caller.ask(key, "/chats?page=1&size=2")
        (call, _) = caller.edge.sessions.calls[-1]
        posted = list(caller.edge.billing.posted.values())
    assert (answer.status, answer.body) == (200, PLATFORM_BODY)
    assert set(answer.headers) >= HEADROOM
    assert answer.headers["X-Fanvue-API-Version"] == answer.headers["X-API-Version"] == "2025-06-26"
    assert (call.model_id, call.org_id, call.query) == (model, principal.org_id, "page=1&size=2")
    assert posted == [1]


async def test_a_204_stays_without_a_body(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, is_bound=True)
        caller.edge.sessions.upstream = Upstream(204, b"")
        answer = await caller.ask(key, "/chats/1/messages/2", "DELETE", headers={"Idempotency-Key": "once"})
        again = await caller.ask(key, "/chats/1/messages/2", "DELETE", headers={"Idempotency-Key": "once"})
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (204, b"", "true")


async def test_an_agencys_creators_are_addressed_on_the_keys_model(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, model = caller.edge.organization(10, is_bound=True)
        answer = await caller.ask(key, "/creators/77/chats/5/message", "POST", json={"text": "hi"})
        (call, body) = caller.edge.sessions.calls[-1]
    assert answer.status == 200
    assert (call.model_id, call.route, call.path_params) == (
        model, "agency_messages_send", {"creator_user_id": "77", "fan_id": "5"},
    )  # fmt: skip
    assert json.loads(body) == {"text": "hi"}


async def test_R119_only_the_surfaces_own_header_or_a_bearer_token_carries_the_key(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, is_bound=True)
        bare = {"X-Fanvue-API-Key": ""}
        nothing = await caller.ask(key, headers=bare)
        foreign = await caller.ask(key, headers=bare | {"X-API-Key": key})
        bearer = await caller.ask(key, headers=bare | {"Authorization": f"Bearer {key}"})
        two = await caller.ask(key, headers={"Authorization": f"Bearer {new_key('fgu_')}"})
    assert [one.headers.get("X-Error-Code") for one in (nothing, foreign, bearer, two)] == [
        "NO_API_KEY", "NO_API_KEY", None, "MULTIPLE_CREDENTIALS",
    ]  # fmt: skip


async def test_R120_R121_a_malformed_key_costs_no_question_and_an_unknown_one_is_refused(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        malformed = await caller.ask("fgu_" + "x" * 36)
        assert caller.edge.directory.asked == 0
        unknown = await caller.ask(new_key("fgu_"))
        assert caller.edge.directory.asked == 1
    assert {malformed.status, unknown.status} == {401}
    assert malformed.json == unknown.json == {"error": "Invalid or missing API key"}


async def test_R125_R126_R140_the_version_is_required_and_a_400_says_why(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, is_bound=True)
        answers = [
            await caller.ask(key, headers={"X-Fanvue-API-Version": version})
            for version in ("2024-01-01", "2025-6-26", "newest", "2025-06-26 ")
        ]
        session = aiohttp.ClientSession()
        async with session, session.get(f"{caller.edge.url}/fanvue/chats", headers={"X-Fanvue-API-Key": key}) as none:
            missing = await none.json()
    assert answers[0].json == {
        "error": "Unsupported API version", "message": "API version '2024-01-01' is not supported",
    }  # fmt: skip
    assert [answer.status for answer in answers] == [400, 400, 400, 200], "blanks around a header's value are not its"
    assert (none.status, missing["error"]) == (400, "API version required")
    parameter = {"error": "query.size: must be a whole number from 1 to 50"}
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, is_bound=True)
        assert (await caller.ask(key, "/chats?size=51")).json == parameter


async def test_R151_R152_R154_R155_R156_a_hundred_calls_a_minute_for_each_personal_key(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        limits = Limits(per_minute=100_000, per_day=1_000_000, key_per_minute=100)
        key, principal, _ = caller.edge.organization(1_000, is_bound=True, limits=limits, **PERSONAL)
        answers = await asyncio.gather(*(caller.ask(key) for _ in range(120)))
        passed = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(passed) + len(refused) == 120
        assert 100 <= len(passed) <= 120, "a minute may end in between"
        assert refused or len(passed) == 120
        ends = {int(answer.headers["X-RateLimit-Reset"]) for answer in answers}
        assert all(end % 60 == 0 for end in ends)
        for answer in passed:
            assert answer.headers["X-RateLimit-Limit"] == "100"
        first_minute = [one for one in passed if int(one.headers["X-RateLimit-Reset"]) == min(ends)]
        left = sorted(int(one.headers["X-RateLimit-Remaining"]) for one in first_minute)
        assert left == list(range(100 - len(first_minute), 100)), "each call takes one"

        # when the minute is over, all of it is there again
        await caller.edge.redis.command("DEL", f"adm:{{{principal.org_id}}}:k:{principal.key_id}")
        await asyncio.sleep(1.1)  # this process refuses by itself for at most a second
        assert (await caller.ask(key)).headers["X-RateLimit-Remaining"] == "99"


async def test_R141_R157_a_429_says_when_to_come_back_and_is_not_earlier_than_the_reset(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        limits = Limits(per_minute=100_000, per_day=1_000_000, key_per_minute=1)
        key, _, _ = caller.edge.organization(10, is_bound=True, limits=limits, **PERSONAL)
        answers = [await caller.ask(key) for _ in range(3)]
    refused = next(answer for answer in answers if answer.status == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json == {"error": "Rate limit exceeded"}


async def test_R153_R170_a_route_with_a_limit_of_its_own_has_its_own_window(redis_url: str) -> None:
    async with a_caller(redis_url, limits="messages_send=2") as caller:
        key, _, _ = caller.edge.organization(100, is_bound=True)
        sent = [await caller.ask(key, "/chats/1/message", "POST", json={"text": "hi"}) for _ in range(6)]
        other = await caller.ask(key)
    statuses = [answer.status for answer in sent]
    assert statuses.count(200) in {2, 3, 4}, "two a minute, and a minute may end in between"
    assert 429 in statuses
    assert next(answer for answer in sent if answer.status == 429).headers["X-RateLimit-Limit"] == "2"
    assert (other.status, other.headers["X-RateLimit-Limit"]) == (200, "100000"), "the key goes on elsewhere"


async def test_R138_every_call_of_a_users_key_is_noted_with_its_route_and_time(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, principal, _ = caller.edge.organization(10, is_bound=True, **PERSONAL)
        seen = [await caller.ask(key, "/chats/1"), await caller.ask(key, "/chats?size=0")]
        await caller.edge.calls.flush()
        (message,) = (one for one in caller.edge.broker.messages if one.type == "edge.calls.counted.v1")
        told = json.loads(message.body)
    calls = told["calls"]
    assert [(call[4], call[5], call[6], call[7]) for call in calls] == [
        ("GET", "/fanvue/chats/{fan_id}", "2025-06-26", 200), ("GET", "/fanvue/chats", "2025-06-26", 400),
    ]  # fmt: skip
    assert [call[0] for call in calls] == [answer.headers["X-Request-Id"] for answer in seen]
    assert {call[2] for call in calls} == {str(principal.key_id)}
    assert [count[2:5] for count in told["counts"]] == [["fanvue", "2025-06-26", 2]]


async def test_a_key_bound_to_a_foreign_model_finds_nothing(redis_url: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, model_id=uuid7())
        answer = await caller.ask(key)
    assert (answer.status, answer.headers["X-Error-Code"]) == (404, "MODEL_NOT_FOUND")


@pytest.mark.parametrize("path", ["/keys", "/whoami", "/models", "/personal-key"])
async def test_nothing_is_managed_here(redis_url: str, path: str) -> None:
    async with a_caller(redis_url) as caller:
        key, _, _ = caller.edge.organization(10, is_bound=True)
        assert (await caller.ask(key, path)).json == {"error": "Not found"}
