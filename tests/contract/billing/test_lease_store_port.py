"""One suite for the counters in memory and those in Redis."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.redis.client import Redis
from services.billing.domain.errors import LeaseStoreMismatch
from services.billing.domain.lease import Holder, Lease
from services.billing.domain.ports import LeaseStore, Outcome
from services.billing.store.counters import RedisCounters
from tests.support.ledger_model import MemoryCounters, ModelClock
from tests.support.servers import Servers, a_redis_index


@dataclass
class Store:
    counters: LeaseStore
    epoch: str


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Store]:
    if request.param == "memory":
        counters = MemoryCounters(ModelClock())
        yield Store(counters, counters.epoch)
        return
    async with a_redis_index(servers) as url:
        redis = Redis.create(url)
        yield Store(RedisCounters(redis, prefix="contract:"), (await redis.epoch()).name)
        await redis.close()


def a_lease(store: Store) -> Lease:
    end = datetime.now(UTC) + timedelta(seconds=30)
    return Lease(
        id=uuid.uuid4(),
        org_id=uuid.UUID(int=1),
        holder=Holder.COUNTER,
        ref=store.epoch,
        amount=10,
        burn_at=end,
        not_after=end,
    )


async def install(store: Store, lease: Lease, amount: int, *, is_new: bool) -> int | Outcome:
    return await store.counters.install(lease, amount, low=1, rest=2, is_new=is_new)


async def test_a_counter_is_installed_grown_and_taken_back(store: Store) -> None:
    lease = a_lease(store)

    assert await install(store, lease, 10, is_new=True) == 10
    assert await install(store, lease, 5, is_new=False) == 15
    assert await install(store, lease, 0, is_new=False) == 15
    assert await store.counters.take(lease, close=False) == 15
    assert await install(store, lease, 3, is_new=False) == 3
    assert await store.counters.take(lease, close=True) == 3
    assert await store.counters.take(lease, close=True) is Outcome.REFUSED


async def test_a_place_that_is_taken_is_not_overwritten(store: Store) -> None:
    first, second = a_lease(store), a_lease(store)
    await install(store, first, 10, is_new=True)

    assert await install(store, second, 7, is_new=True) is Outcome.REFUSED
    assert await install(store, second, 7, is_new=False) is Outcome.REFUSED
    assert await store.counters.take(second, close=True) is Outcome.REFUSED
    assert await store.counters.take(first, close=True) == 10


async def test_a_lease_of_another_epoch_is_out_of_reach(store: Store) -> None:
    lease = msgspec.structs.replace(a_lease(store), ref="f" * 48)

    assert await install(store, lease, 10, is_new=True) is Outcome.REFUSED
    assert await store.counters.take(lease, close=True) is Outcome.REFUSED
    with pytest.raises(LeaseStoreMismatch):
        await store.counters.check("f" * 48)
    await store.counters.check(store.epoch)
