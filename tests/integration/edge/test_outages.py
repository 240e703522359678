"""Redis, auth or billing away, one row of the outage table after the other; and two edges that must agree."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.auth import KeyRevoked, Limits, OrganizationChanged
from libs.common.contracts.envelope import Context
from libs.common.ids import new_key
from libs.common.redis.client import Redis
from services.edge.domain.address import network_of
from services.edge.store.failures import CountedFailures
from tests.support.edge import DirectoryDouble, RunningEdge, SessionsDouble, a_principal, running_edge
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.servers import OwnRedis

OwnServer = Callable[[], Awaitable[OwnRedis]]


async def get(edge: RunningEdge, key: str, model: object) -> Answer:
    async with GatewayClient(edge.url, key) as client:
        return await client.get(str(model), "/chats")


async def test_without_redis_calls_go_on_with_a_lease_of_their_own(redis_server: OwnServer) -> None:
    server = await redis_server()
    async with running_edge(server.url, replicas=2, redis_timeout_s=0.15) as edge:
        key, principal, model = edge.organization(100, limits=Limits(per_minute=1_000, per_day=5_000))
        assert (await get(edge, key, model)).status == 200
        await server.kill()
        answers = [await get(edge, key, model) for _ in range(10)]
        assert [answer.status for answer in answers] == [200] * 10
        assert answers[-1].json["_meta"]["_rate_limits"] == {
            "limit_minute": 500, "remaining_minute": 490, "limit_day": 2_500, "remaining_day": 2_490,
        }  # fmt: skip
        assert edge.billing.balances[principal.org_id] == 89
        assert edge.billing.waived == 0
        poor, _, its_model = edge.organization(0)
        assert (await get(edge, poor, its_model)).status == 402, "Postgres said so"
        edge.billing.is_away = True
        other, _, its_model = edge.organization(5)
        refused = await get(edge, other, its_model)
        assert (refused.status, refused.json["code"]) == (503, "UNAVAILABLE")


async def test_without_redis_a_revoked_key_passes_for_a_second_at_most(redis_server: OwnServer) -> None:
    server = await redis_server()
    async with running_edge(server.url, redis_timeout_s=0.15) as edge:
        key, _, model = edge.organization()
        assert (await get(edge, key, model)).status == 200
        await server.kill()
        assert (await get(edge, key, model)).status == 200
        edge.directory.principals.clear()
        await asyncio.sleep(1.05)
        assert (await get(edge, key, model)).status == 401


@pytest.mark.alone  # it measures time
async def test_a_stalled_redis_costs_one_timeout_and_then_nothing(redis_server: OwnServer) -> None:
    server = await redis_server()
    async with running_edge(server.url, redis_timeout_s=0.15) as edge:
        key, _, model = edge.organization(1_000)
        assert (await get(edge, key, model)).status == 200
        await server.pause()
        took = []
        async with GatewayClient(edge.url, key) as client:
            for _ in range(12):
                started = time.monotonic()
                assert (await client.get(str(model), "/chats")).status == 200
                took.append(time.monotonic() - started)
            await server.resume()
            await asyncio.sleep(1.2)
            back = await client.get(str(model), "/chats")
        assert max(took) < 1.0
        assert sorted(took)[5] < 0.1, "with the breaker open nobody waits"
        assert back.status == 200
        assert back.json["_meta"]["_rate_limits"]["limit_minute"] == 100_000


async def test_a_revocation_acts_on_every_edge_at_once_with_warm_caches(redis_url: str) -> None:
    directory, sessions = DirectoryDouble(), SessionsDouble()
    async with running_edge(redis_url, directory=directory, sessions=sessions) as one:
        async with running_edge(redis_url, directory=directory, sessions=sessions, billing=one.billing) as two:
            key, principal, model = one.organization()
            for edge in (one, two):
                assert (await get(edge, key, model)).status == 200
            directory.principals.clear()
            message = KeyRevoked(org_id=principal.org_id, key_id=principal.key_id, digest="0" * 64, av=principal.av + 1)
            context = Context(message_id=uuid4(), type="auth.key.revoked.v1", sender="auth")
            await one.broadcasts.on_message(message, context)  # the other edge's broadcast is lost
            for edge in (two, one):
                assert (await get(edge, key, model)).status == 401


async def test_a_role_edit_acts_on_the_next_call(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization()
        assert (await get(edge, key, model)).status == 200
        digest = next(iter(edge.directory.principals))
        edge.directory.principals[digest] = a_principal(
            org_id=principal.org_id, key_id=principal.key_id, av=2, permissions=frozenset()
        )
        message = OrganizationChanged(org_id=principal.org_id, av=2)
        context = Context(message_id=uuid4(), type="auth.org.changed.v1", sender="auth")
        await edge.broadcasts.on_message(message, context)
        assert (await get(edge, key, model)).status == 403


async def test_two_hundred_at_once_on_fifty_credits_through_two_edges(redis_url: str) -> None:
    directory, sessions = DirectoryDouble(), SessionsDouble(delay_s=0.2)
    async with running_edge(redis_url, directory=directory, sessions=sessions) as one:
        async with running_edge(redis_url, directory=directory, sessions=sessions, billing=one.billing) as two:
            key, principal, model = one.organization(50)
            async with GatewayClient(one.url, key) as left, GatewayClient(two.url, key) as right:
                clients = [left, right]
                answers = await asyncio.gather(*(clients[n % 2].get(str(model), "/chats") for n in range(200)))
                statuses = [answer.status for answer in answers]
                assert statuses.count(200) == 50
                assert set(statuses) <= {200, 402, 503}
                assert (await left.get(str(model), "/chats")).status == 402
            assert one.billing.balances[principal.org_id] == 0
            assert one.billing.waived == 0


async def test_a_drain_lets_started_calls_finish(redis_url: str) -> None:
    async with running_edge(redis_url, sessions=SessionsDouble(delay_s=0.3)) as edge:
        key, _, model = edge.organization()
        call = asyncio.create_task(get(edge, key, model))
        await asyncio.sleep(0.1)
    assert (await call).status == 200


async def test_blocks_double_and_are_counted_without_redis_too(redis_server: OwnServer) -> None:
    server = await redis_server()
    redis = Redis.create(server.url)
    for is_up in (True, False):
        if not is_up:
            await server.kill()
        address = "2001:db8:1:2::5" if is_up else "2001:db8:9:9::5"
        neighbour = address.replace("::5", ":ffff::6")
        failures = CountedFailures(redis, SystemClock())
        for _ in range(9):
            await failures.count(address)
        assert failures.blocked_ms(address) == 0
        await failures.count(neighbour)
        assert 59_000 < failures.blocked_ms(address) <= 60_000, "an IPv6 customer owns a /64"
        assert network_of(address) == network_of(neighbour)
        if is_up:  # the block ends; the next one is twice as long
            await redis.command("HSET", f"fail:{{{network_of(address)}}}", "till", 0)
            again = CountedFailures(redis, SystemClock())
            for _ in range(10):
                await again.count(address)
            assert 119_000 < again.blocked_ms(address) <= 120_000
    await redis.close()


async def test_a_good_key_is_served_while_a_thousand_guesses_fail(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        assert (await get(edge, key, model)).status == 200
        async with GatewayClient(edge.url, None) as client:
            path = f"/api/models/{model}/chats"
            guesses = await asyncio.gather(
                *(client.call("GET", path, headers={"X-API-Key": new_key("fgk_")}) for _ in range(200))
            )
        assert {answer.status for answer in guesses} <= {401, 429}
        assert (await get(edge, key, model)).status == 200
