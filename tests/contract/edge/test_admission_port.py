"""The port `Admission`: what the one in Redis and the one in this process promise alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.auth import Limits, Principal
from libs.common.redis.client import Redis
from services.edge.domain.ports import Admission, Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.windows import MINUTE_MS
from services.edge.store.admission import RedisAdmission
from services.edge.store.local import LocalAdmission
from services.edge.store.refills import Refills
from tests.support.edge import BillingDouble, a_principal, a_route


class World:
    """One of the two, with billing behind it."""

    def __init__(self, kind: str, url: str) -> None:
        self.redis = Redis.create(url)
        self.billing = BillingDouble(redis=self.redis, slab=10)
        self.shared = RedisAdmission(self.redis, Refills(self.redis, self.billing), SystemClock())
        self.admission: Admission = (
            self.shared if kind == "redis" else LocalAdmission(self.billing, SystemClock(), replicas=1)
        )

    async def organization(self, credits_: int, limits: Limits | None = None) -> Principal:
        caller = a_principal(limits=limits or Limits(per_minute=1_000, per_day=1_000))
        self.billing.balances[caller.org_id] = credits_
        await self.shared.raise_version(caller.org_id, caller.av)
        return caller

    async def attempt(self, caller: Principal, cost: int = 1) -> Reserved | Refusal:
        try:
            return await self.admission.reserve(caller, a_route(), cost=cost)
        except Refusal as refusal:
            return refusal


@pytest.fixture(params=["redis", "local"])
async def world(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[World]:
    left_s = (MINUTE_MS - SystemClock().now_ms() % MINUTE_MS) / 1_000
    if left_s < 3:  # the aligned windows of these tests lie in one minute
        await asyncio.sleep(left_s + 0.05)
    made = World(request.param, redis_url)
    yield made
    await made.redis.close()


async def test_fifty_credits_admit_fifty_of_two_hundred(world: World) -> None:
    caller = await world.organization(50)
    outcomes = await asyncio.gather(*(world.attempt(caller) for _ in range(200)))
    assert sum(isinstance(one, Reserved) for one in outcomes) == 50
    assert {(one.code, one.status) for one in outcomes if isinstance(one, Refusal)} == {("UNAVAILABLE", 503)}


async def test_a_released_reserve_can_be_spent_again_and_only_once(world: World) -> None:
    caller = await world.organization(2)
    first, second = await world.attempt(caller), await world.attempt(caller)
    assert isinstance(first, Reserved)
    assert isinstance(second, Reserved)
    assert first.lease_id is not None
    await world.admission.release(first)
    assert isinstance(await world.attempt(caller), Reserved)
    assert isinstance(await world.attempt(caller), Refusal)


async def test_a_look_counts_nothing_and_is_not_refused_by_a_full_window(world: World) -> None:
    caller = await world.organization(5, Limits(per_minute=1, per_day=1_000))
    assert isinstance(await world.attempt(caller), Reserved)
    assert isinstance(await world.attempt(caller), Refusal)
    look = await world.admission.reserve(caller, a_route(), cost=0, is_counted=False)
    assert (look.lease_id, look.windows.counters.minute, look.windows.remaining_minute) == (None, 1, 0)


async def test_what_costs_nothing_reserves_nothing_and_counts(world: World) -> None:
    caller = await world.organization(0)
    free = await world.attempt(caller, 0)
    assert isinstance(free, Reserved)
    assert (free.lease_id, free.cost, free.windows.counters.minute, free.windows.counters.day) == (None, 0, 1, 1)
    await world.admission.release(free)
    assert world.billing.asked == 0


async def test_402_only_from_billing_and_never_counted(world: World) -> None:
    caller = await world.organization(1)
    for _ in range(3):
        refusal = await world.attempt(caller, 2)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.fields) == ("INSUFFICIENT_CREDITS", {"required": 2, "balance": 1})
    world.billing.balances[caller.org_id] = 5
    if isinstance(world.admission, RedisAdmission):
        await world.admission.forget_negative(caller.org_id)
    reserved = await world.attempt(caller, 2)
    assert isinstance(reserved, Reserved)
    assert reserved.windows.counters.minute == 1


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(per_minute=3, per_day=100), "minute"),
        (Limits(per_minute=100, per_day=3), "day"),
        (Limits(per_minute=100, per_day=100, key_per_minute=3), "key"),
        (Limits(per_minute=3, per_day=3, key_per_minute=3), "day"),
    ],
)
async def test_windows(world: World, limits: Limits, name: str) -> None:
    caller = await world.organization(50, limits)
    outcomes = [await world.attempt(caller) for _ in range(5)]
    assert [isinstance(one, Reserved) for one in outcomes] == [True, True, True, False, False]
    refusal = outcomes[-1]
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.status) == ("RATE_LIMIT_EXCEEDED", 429)
    assert refusal.window is not None
    assert (refusal.window.name, refusal.window.limit, refusal.window.remaining) == (name, 3, 0)
    assert refusal.retry_after_s >= 1
