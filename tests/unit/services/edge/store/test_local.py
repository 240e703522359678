"""Admission without Redis: bounded windows, and no credit that billing did not lease."""

import asyncio

import pytest

from libs.common.contracts.auth import Limits, Principal
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import Refusal
from services.edge.store.local import LocalAdmission
from tests.support.edge import BillingDouble, ManualClock, a_principal, a_route


class World:
    """A local admission with billing behind it."""

    def __init__(self, *, replicas: int = 1, slab: int = 10) -> None:
        self.clock, self.billing = ManualClock(), BillingDouble(slab=slab)
        self.local = LocalAdmission(self.billing, self.clock, replicas=replicas)

    def organization(self, credits_: int, limits: Limits | None = None) -> Principal:
        caller = a_principal(limits=limits or Limits(per_minute=1_000, per_day=1_000))
        self.billing.balances[caller.org_id] = credits_
        return caller

    async def attempt(self, caller: Principal, cost: int = 1) -> Reserved | str:
        try:
            return await self.local.reserve(caller, a_route(), cost=cost)
        except Refusal as refusal:
            return refusal.code


async def test_fifty_credits_admit_fifty_of_two_hundred_at_once() -> None:
    world = World()
    caller = world.organization(50)
    outcomes = await asyncio.gather(*(world.attempt(caller) for _ in range(200)))
    assert sum(isinstance(one, Reserved) for one in outcomes) == 50
    assert {one for one in outcomes if isinstance(one, str)} == {"UNAVAILABLE"}
    assert world.billing.running_max == 1


async def test_a_released_credit_is_spent_again() -> None:
    world = World()
    caller = world.organization(1)
    reserved = await world.attempt(caller)
    assert isinstance(reserved, Reserved)
    assert reserved.is_local
    await world.local.release(reserved)
    assert isinstance(await world.attempt(caller), Reserved)


async def test_an_ended_lease_is_not_spent() -> None:
    world = World()
    caller = world.organization(20)
    assert isinstance(await world.attempt(caller), Reserved)
    world.clock.advance(world.billing.life_ms)
    world.billing.is_away = True
    assert await world.attempt(caller) == "UNAVAILABLE"


async def test_without_credits_it_is_a_402_and_without_billing_a_503() -> None:
    world = World()
    assert await world.attempt(world.organization(0)) == "INSUFFICIENT_CREDITS"
    world.billing.is_away = True
    assert await world.attempt(world.organization(9)) == "UNAVAILABLE"
    assert isinstance(await world.attempt(world.organization(0), cost=0), Reserved), "what is free goes on"


@pytest.mark.parametrize(
    ("limits", "replicas", "admitted"),
    [
        (Limits(per_minute=10, per_day=100), 1, 10),
        (Limits(per_minute=10, per_day=100), 3, 4),
        (Limits(per_minute=100, per_day=7), 1, 7),
        (Limits(per_minute=100, per_day=100, key_per_minute=5), 1, 5),
    ],
)
async def test_windows_are_held_with_a_share_each(limits: Limits, replicas: int, admitted: int) -> None:
    world = World(replicas=replicas, slab=1_000)
    caller = world.organization(1_000, limits)
    outcomes = [await world.attempt(caller) for _ in range(30)]
    assert sum(isinstance(one, Reserved) for one in outcomes) == admitted
    assert set(outcomes[admitted:]) == {"RATE_LIMIT_EXCEEDED"}
    last = outcomes[admitted - 1]
    assert isinstance(last, Reserved)
    assert 0 in {last.windows.remaining_minute, last.windows.remaining_day, last.windows.shown().remaining}


async def test_the_minute_slides_here_too() -> None:
    world = World(slab=1_000)
    world.billing.life_ms = 600_000
    caller = world.organization(1_000, Limits(per_minute=10, per_day=100))
    world.clock.advance(60_000 - world.clock.now_ms() % 60_000)
    for _ in range(10):
        assert isinstance(await world.attempt(caller), Reserved)
    world.clock.advance(60_000)
    assert await world.attempt(caller) == "RATE_LIMIT_EXCEEDED"
    world.clock.advance(30_000)
    outcomes = [await world.attempt(caller) for _ in range(6)]
    assert sum(isinstance(one, Reserved) for one in outcomes) == 5
    world.clock.advance(120_000)
    assert isinstance(await world.attempt(caller), Reserved)
