"""`Idempotency-Key` over HTTP, on every surface, on real Postgres and Redis; sessions, services and broker are doubles."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from libs.common.contracts.auth import Limits, Principal
from libs.common.contracts.catalogue import catalogue
from libs.common.contracts.wire import Outgoing
from libs.common.db.pool import Database
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.store.idempotency import PostgresAnswers
from services.edge.store.sealed_answers import SealedAnswers
from tests.support.edge import PLATFORM_BODY, RING, RunningEdge, SessionsDouble, a_principal, running_edge
from tests.support.gateway_client import Answer
from tests.support.refused import KEY_HEADERS, SURFACES
from tests.support.servers import OwnRedis, TestDatabase

TEXT = b'{"text":"once"}'
NAMED = {"X-Error-Code", "Content-Type", "X-API-Version", "Cache-Control"}  # headers that belong to the answer itself


@dataclass
class World:
    """An edge, an organization on it, and the table behind it."""

    edge: RunningEdge
    db: Database
    surface: str
    key: str
    principal: Principal
    model: UUID

    async def send(
        self, idempotency_key: str | None = "order-17", *, body: bytes = TEXT, api_key: str = "", fan: int = 1,
        model: UUID | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if model is not None and self.is_bound and not api_key:
            api_key = self.issue(model_id=model)
        path = self.path(f"/chats/{fan}/message" + "s" * (not self.is_bound), model)
        return await self.call(path, "POST", body, api_key=api_key, **headers)

    @property
    def is_bound(self) -> bool:
        """Whether the key names the model, for no path here does."""
        return self.surface == "fanvue"

    def path(self, tail: str, model: UUID | None = None) -> str:
        return SURFACES[self.surface].format(model=model or self.model) + tail

    def issue(self, **changes: Any) -> str:
        """Another key of the organization."""
        own = {"model_id": self.model} if self.is_bound else {}
        return self.edge.directory.issue(a_principal(**{"org_id": self.principal.org_id} | own | changes))

    async def call(self, path: str, method: str, body: bytes | None, *, api_key: str = "", **headers: str) -> Answer:
        sent = {KEY_HEADERS[self.surface]: api_key or self.key, "Content-Type": "application/json"}
        if self.is_bound:
            sent["X-Fanvue-API-Version"] = "2025-06-26"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.edge.url + path
        async with aiohttp.ClientSession() as session, session.request(method, url, data=body, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    @property
    def sent(self) -> int:
        return len(self.edge.sessions.calls)

    @property
    def paid(self) -> int:
        return sum(self.edge.billing.posted.values())

    async def age(self, seconds: int) -> None:
        """Let the claims of this world grow older."""
        await self.db.execute(
            "UPDATE idempotency SET created_at = created_at - make_interval(secs => $1),"
            " claimed_until = claimed_until - make_interval(secs => $1)",
            float(seconds),
        )


def same(first: Answer, again: Answer) -> bool:
    return (first.status, first.body, *(first.headers.get(name) for name in sorted(NAMED))) == (
        again.status, again.body, *(again.headers.get(name) for name in sorted(NAMED)),
    )  # fmt: skip


def is_replayed(answer: Answer) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def code_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers.get("X-Error-Code", "")


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    own = await Database.connect(database.dsn("edge"), schema="edge", name="test", size_min=0)
    yield own
    await own.close()


@pytest.fixture(params=SURFACES)
async def world(request: pytest.FixtureRequest, redis_url: str, db: Database) -> AsyncIterator[World]:
    answers = PostgresAnswers(db, SealedAnswers(RING), fence_ms=40_000)
    async with running_edge(redis_url, answers=answers, sessions=SessionsDouble(), fence_ms=3_000) as edge:
        edge.sessions.upstream = Upstream(201, PLATFORM_BODY, upstream_ms=1)
        key, principal, model = edge.organization(20, is_bound=request.param == "fanvue")
        yield World(edge, db, request.param, key, principal, model)


async def test_a_repeat_is_answered_byte_for_byte_free_and_without_a_second_message(world: World) -> None:
    first = await world.send()
    again = [await world.send() for _ in range(3)]
    assert first.status == 201
    assert not is_replayed(first)
    for answer in again:
        assert same(first, answer)
        assert is_replayed(answer)
    assert len({answer.headers["X-Request-Id"] for answer in [first, *again]}) == 4
    assert (world.sent, world.paid) == (1, 2)
    assert world.edge.billing.balances[world.principal.org_id] == 18
    remaining = [int(answer.headers["X-RateLimit-Remaining"]) for answer in [first, *again]]
    assert remaining == [99_999, 99_998, 99_997, 99_996], "a repeat is a call like any, but for its price"


async def test_every_route_that_changes_something_is_answered_once(world: World) -> None:
    routes = [route for route in world.edge.edge.routes if route.call and route.is_unsafe]
    ours = [route for route in routes if route.path.startswith(SURFACES[world.surface].partition("{")[0])]
    world.edge.billing.balances[world.principal.org_id] = 10_000
    samples = {"model_id": str(world.model), "account": str(world.model), "upload_id": "u-1"}
    for route in ours:
        path = re.sub(r"{(\w+)}", lambda name: samples.get(name[1], "1"), route.path)
        before = world.sent
        first, again = [
            await world.call(path, route.method, TEXT if route.takes_body else None, Idempotency_Key=route.name)
            for _ in range(2)
        ]  # fmt: skip
        assert first.status == 201, (route.name, first.body)
        assert same(first, again), route.name
        assert is_replayed(again), route.name
        assert world.sent == before + 1, route.name
    served = [call for call in catalogue().values() if not world.is_bound or call.fanvue_alias is not None]
    assert {route.call for route in ours} == {call.name for call in served if call.method != "GET"}


async def test_a_quoted_key_is_the_same_key(world: World) -> None:
    first = await world.send("order-17")
    assert same(first, await world.send('"order-17"'))
    assert world.sent == 1


async def test_fifty_at_once_make_one_call(world: World) -> None:
    world.edge.sessions.delay_s = 0.2
    answers = await asyncio.gather(*(world.send() for _ in range(50)))
    later = await world.send()
    found = Counter(code_of(answer) for answer in answers)
    assert found[201, ""] >= 1
    assert found[201, ""] + found[409, "IDEMPOTENCY_IN_PROGRESS"] == 50
    assert sum(answer.status == 201 and not is_replayed(answer) for answer in answers) == 1
    assert {answer.body for answer in answers if answer.status == 201} == {later.body}
    assert (world.sent, world.paid) == (1, 2)


@pytest.mark.parametrize("other", ["body", "fan", "model", "query"])
async def test_another_request_under_the_key_is_a_422_and_is_not_carried_out(world: World, other: str) -> None:
    await world.send()
    others: dict[str, dict[str, Any]] = {
        "body": {"body": b'{"text":"else"}'}, "fan": {"fan": 2}, "model": {"model": uuid7()},
    }  # fmt: skip
    if other == "query":  # a route whose queries are allowed
        path = world.path("/chats/1/message" + "s" * (not world.is_bound) + "?x=1")
        answer = await world.call(path, "POST", TEXT, Idempotency_Key="order-17")
        assert code_of(answer) == (400, "INVALID_REQUEST")
    else:
        assert code_of(await world.send(**others[other])) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert world.sent == 1


async def test_another_organizations_key_of_the_same_name_is_another_key(world: World) -> None:
    await world.send()
    key, _, model = world.edge.organization(20, is_bound=world.is_bound)
    answer = await world.send(api_key=key, model=model)
    assert answer.status == 201
    assert not is_replayed(answer)
    assert world.sent == 2


async def test_another_key_of_the_organization_gets_the_answer_and_a_bound_one_does_not(world: World) -> None:
    first = await world.send()
    assert same(first, await world.send(api_key=world.issue()))
    assert code_of(await world.send(api_key=world.issue(model_id=uuid7()))) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert code_of(await world.send(api_key=world.issue(permissions=frozenset()))) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("bad", ["", '""', "x" * 256, '"open', "cl\xe9"])
async def test_a_key_that_is_none_is_a_400_and_nothing_is_sent(world: World, bad: str) -> None:
    assert code_of(await world.send(bad)) == (400, "INVALID_REQUEST")
    assert world.sent == 0


async def test_a_read_pays_no_attention_to_the_header(world: World) -> None:
    for _ in range(2):
        answer = await world.call(world.path("/chats"), "GET", None, Idempotency_Key="")
        assert answer.status == 201
        assert not is_replayed(answer)
    assert world.sent == 2


async def test_the_answer_bought_with_the_last_credit_is_not_lost_to_a_402(world: World) -> None:
    world.edge.billing.balances[world.principal.org_id] = 2
    first = await world.send()
    assert first.status == 201
    assert code_of(await world.send("another")) == (402, "INSUFFICIENT_CREDITS")
    assert same(first, await world.send())


async def test_a_402_leaves_the_key_unused(world: World) -> None:
    org_id = world.principal.org_id
    world.edge.billing.balances[org_id] = 1
    assert code_of(await world.send()) == (402, "INSUFFICIENT_CREDITS")
    world.edge.billing.balances[org_id] = 50
    await world.edge.admission.forget_negative(org_id)
    assert (await world.send(body=b'{"text":"else"}')).status == 201


async def test_a_429_leaves_no_trace_of_the_key(world: World) -> None:
    small = world.issue(limits=Limits(per_minute=0))
    assert code_of(await world.send(api_key=small)) == (429, "RATE_LIMIT_EXCEEDED")
    assert await world.db.fetchval("SELECT count(*) FROM idempotency") == 0


DEFINITE = [
    (Upstream(400, b'{"error":"text is too long"}'), 400), (Upstream(404, b"{}"), 404), (Upstream(409, b"{}"), 409),
    (Upstream(500, b"{}"), 502), (Refusal("MODEL_NOT_FOUND"), 404), (Refusal("OUTCOME_UNKNOWN"), 504),
]  # fmt: skip


@pytest.mark.parametrize(("said", "status"), DEFINITE)
async def test_a_definite_failure_and_an_unknown_outcome_are_told_again_and_never_tried_again(
    world: World, said: Upstream | Refusal, status: int
) -> None:
    world.edge.sessions.upstream = said
    first = await world.send()
    world.edge.sessions.upstream = Upstream(201, b"{}")
    again = await world.send()
    assert (first.status, is_replayed(first), is_replayed(again)) == (status, False, True)
    assert same(first, again)
    assert (world.sent, world.paid) == (1, 0)
    problem = await world.send(Accept="application/problem+json")
    assert (problem.status, problem.headers["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("said", [Refusal("SYNC_LOST"), Upstream(429, b"{}"), Refusal("UNAVAILABLE", is_unsent=True)])
async def test_what_was_certainly_not_carried_out_may_be_tried_again(world: World, said: Upstream | Refusal) -> None:
    world.edge.sessions.upstream = said
    assert (await world.send()).status in {424, 503}
    world.edge.sessions.upstream = Upstream(201, b"{}")
    assert (await world.send()).status == 201
    one, other = (proxy.call_id for proxy, _ in world.edge.sessions.calls)
    assert one != other


async def refuse(_: Outgoing) -> None:
    raise Refused


async def never_confirm(_: Outgoing) -> None:
    raise Unconfirmed


async def test_an_answer_that_could_not_be_recorded_is_fetched_again_under_the_same_call_id(world: World) -> None:
    world.edge.broker.fate = refuse
    assert (await world.send()).status == 503
    world.edge.broker.fate = None
    assert (await world.send()).status == 201
    one, other = (proxy.call_id for proxy, _ in world.edge.sessions.calls)
    assert one == other, "the fence of sessions repeats the answer"
    assert world.paid == 2


async def test_an_answer_that_may_be_recorded_is_given_at_the_next_try_and_paid_under_another_id(world: World) -> None:
    world.edge.broker.fate = never_confirm
    assert (await world.send()).status == 503
    world.edge.broker.fate = None
    assert (await world.send()).status == 201
    one, other = (proxy.call_id for proxy, _ in world.edge.sessions.calls)
    assert one == other, "the fence of sessions repeats the answer"
    await world.edge.usage.flush_voids()
    assert world.paid == 2
    assert is_replayed(await world.send())
    assert world.paid == 2


async def test_after_a_crash_the_claim_runs_out_and_the_next_try_goes_on_under_the_same_call_id(world: World) -> None:
    world.edge.sessions.upstream = RuntimeError("as if killed here")
    assert (await world.send()).status == 500
    world.edge.sessions.upstream = Upstream(201, b"{}")
    await world.age(30)
    assert code_of(await world.send()) == (409, "IDEMPOTENCY_IN_PROGRESS")
    await world.age(16)
    assert (await world.send()).status == 201
    one, other = (proxy.call_id for proxy, _ in world.edge.sessions.calls)
    assert one == other
    assert world.paid == 2
    assert is_replayed(await world.send())


async def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    await world.send()
    await world.age(86_401)
    answer = await world.send(body=b'{"text":"tomorrow"}')
    assert answer.status == 201
    assert not is_replayed(answer)
    assert world.sent == 2


async def test_while_redis_is_away_keys_work_from_a_local_lease(
    redis_server: Callable[[], Awaitable[OwnRedis]], db: Database
) -> None:
    server = await redis_server()
    async with running_edge(server.url, answers=PostgresAnswers(db, SealedAnswers(RING), fence_ms=40_000)) as edge:
        key, principal, model = edge.organization(20)
        world = World(edge, db, "gateway", key, principal, model)
        await server.kill()
        first = await world.send()
        assert first.status == 200
        assert same(first, await world.send())
        assert (world.sent, world.paid) == (1, 2)


@pytest.mark.parametrize("surface", SURFACES)
async def test_while_postgres_is_away_only_calls_under_a_key_are_refused(
    redis_url: str, database: TestDatabase, surface: str
) -> None:
    port = database.dsn("edge").rpartition("@")[2].partition("/")[0].rpartition(":")[2]
    away = await Database.connect(
        database.dsn("edge").replace(f":{port}/", ":9/"), schema="edge", name="test", size_min=0
    )
    async with running_edge(redis_url, answers=PostgresAnswers(away, SealedAnswers(RING), fence_ms=40_000)) as edge:
        key, principal, model = edge.organization(20, is_bound=surface == "fanvue")
        world = World(edge, away, surface, key, principal, model)
        refused = await world.send()
        assert code_of(refused) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"] == "1"
        assert world.sent == 0
        assert (await world.send(None)).status == 200
    await away.close()
