"""Leases on real Postgres and Redis: opened, grown, recalled, closed and made final."""

import uuid
from collections.abc import Awaitable, Callable

import pytest

from libs.common.contracts.billing import CloseLease
from libs.common.contracts.takedowns import BatchDebited
from libs.common.ids import uuid7
from services.billing.domain.errors import (
    CreditsInUse,
    InsufficientCredits,
    LeaseClosed,
    LeaseConflict,
    LeaseStoreMismatch,
    NoSubscription,
)
from tests.support.billing import Billing, a_billing, a_usage, recorded
from tests.support.servers import OwnRedis, TestDatabase


async def test_the_first_lease_takes_a_slab_and_shows_what_is_left(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")

    opened = await billing.open_slab(org_id)

    counter = await billing.counter(org_id)
    assert (opened.granted, opened.rest) == (50, 4950)
    assert counter["id"] == str(opened.lease_id)
    assert (counter["avail"], counter["low"], counter["rest"]) == ("50", "12", "4950")
    assert 10_000 < opened.life_ms <= 12_000
    assert await billing.leased(org_id) == 50


async def test_a_lease_grows_in_place_and_doubles_while_it_is_hot(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    first = await billing.open_slab(org_id)

    grown = await billing.open_slab(org_id)

    assert grown.lease_id == first.lease_id
    assert grown.granted == 100
    assert (await billing.counter(org_id))["avail"] == "150"


async def test_everything_is_leased_when_less_than_two_slabs_are_free(billing: Billing) -> None:
    org_id = await billing.poor_organization(60)

    opened = await billing.open_slab(org_id)

    assert (opened.granted, opened.rest) == (60, 0)
    assert (await billing.counter(org_id))["low"] == "0"  # nothing more to ask for


async def test_402_only_when_the_balance_is_too_small(billing: Billing) -> None:
    org_id = await billing.poor_organization(1)

    with pytest.raises(InsufficientCredits) as caught:
        await billing.open_slab(org_id, cost=2)

    assert caught.value.fields == {"required": 2, "balance": 1}


async def test_credits_in_flight_are_in_use_until_posted_then_402(billing: Billing) -> None:
    org_id = await billing.poor_organization(1)
    opened = await billing.open_slab(org_id)
    assert await billing.reserve(org_id, 1) == opened.lease_id

    with pytest.raises(CreditsInUse):
        await billing.open_slab(org_id)
    await billing.post(recorded(a_usage(org_id, opened.lease_id)))
    with pytest.raises(InsufficientCredits):
        await billing.open_slab(org_id)


async def test_no_subscription_no_lease(billing: Billing) -> None:
    with pytest.raises(NoSubscription):
        await billing.open_slab(uuid.uuid4())
    with pytest.raises(NoSubscription):
        await billing.open_slab(await billing.organization(plan=None, topup=10))


async def test_a_foreign_redis_is_refused_before_anything_is_set_aside(billing: Billing) -> None:
    org_id = await billing.organization()

    with pytest.raises(LeaseStoreMismatch):
        await billing.open_slab(org_id, ref="0" * 48)

    assert await billing.leased(org_id) == 0


async def test_a_lease_near_its_end_is_replaced_and_its_rest_returns(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    first = await billing.open_slab(org_id)
    await billing.reserve(org_id, 2)  # in flight

    billing.clock.skip(21)
    second = await billing.open_slab(org_id)

    assert second.lease_id != first.lease_id
    assert (await billing.counter(org_id))["id"] == str(second.lease_id)
    assert await billing.leased(org_id) == second.granted + 2
    await billing.finish_all()
    assert await billing.leased(org_id) == 0
    assert await billing.balance(org_id) == 5000


async def test_usage_that_was_admitted_is_posted_while_its_lease_closes(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    opened = await billing.open_slab(org_id)
    await billing.reserve(org_id, 2)
    billing.clock.skip(36)
    await billing.expire()  # past its end and the skew: closed, the counter emptied
    assert await billing.counter(org_id) == {}
    assert await billing.leased(org_id) == 2

    posted = await billing.post(recorded(a_usage(org_id, opened.lease_id, cost=2)))
    assert posted.waived == []
    await billing.finish_all()

    assert await billing.balance(org_id) == 4998
    late = await billing.post(recorded(a_usage(org_id, opened.lease_id)))
    assert [reason for reason, _ in late.waived] == ["lease_final"]
    assert await billing.balance(org_id) == 4998


async def test_a_flushed_redis_strands_the_rest_for_at_most_90_seconds_and_grants_nothing_twice(
    database: TestDatabase, redis_server: Callable[[], Awaitable[OwnRedis]]
) -> None:
    own = await redis_server()
    async with a_billing(database, own.url) as billing:
        org_id = await billing.poor_organization(50)
        await billing.open_slab(org_id)
        await billing.redis.command("FLUSHALL")

        with pytest.raises(CreditsInUse):
            await billing.open_slab(org_id)

        billing.clock.skip(36)
        await billing.expire()
        billing.clock.skip(50)
        await billing.expire()
        assert await billing.leased(org_id) == 0
        assert (await billing.open_slab(org_id)).granted == 50


async def test_a_flushed_redis_does_not_stop_an_organization_that_has_more(
    database: TestDatabase, redis_server: Callable[[], Awaitable[OwnRedis]]
) -> None:
    own = await redis_server()
    async with a_billing(database, own.url) as billing:
        org_id = await billing.organization(plan="pro")
        first = await billing.open_slab(org_id)
        await billing.redis.command("FLUSHALL")

        second = await billing.open_slab(org_id)

        assert second.lease_id != first.lease_id
        assert await billing.leased(org_id) == first.granted + second.granted  # the growth of the lost one came back


async def test_a_restarted_redis_is_another_epoch(
    database: TestDatabase, redis_server: Callable[[], Awaitable[OwnRedis]]
) -> None:
    own = await redis_server()
    async with a_billing(database, own.url) as billing:
        org_id = await billing.organization(plan="pro")
        old_ref = (await billing.redis.epoch()).name
        await billing.open_slab(org_id)
        await own.restart()

        assert (await billing.redis.epoch()).name != old_ref
        with pytest.raises(LeaseStoreMismatch):
            await billing.open_slab(org_id, ref=old_ref)
        await billing.open_slab(org_id)
        assert await billing.leased(org_id) == 50 + 100  # the lost one until it is final, and a hot slab


async def test_without_redis_an_edge_counts_in_its_memory(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")

    opened = await billing.open_slab(org_id, ref="edge:1234", cost=2)
    again = await billing.open_slab(org_id, ref="edge:1234")

    assert (opened.granted, again.lease_id) == (10, opened.lease_id)
    await billing.post(recorded(a_usage(org_id, opened.lease_id, cost=2)))
    await billing.finish_all()
    assert await billing.leased(org_id) == 0
    assert await billing.balance(org_id) == 4998


async def test_a_batch_gets_exactly_what_it_asks_for_or_nothing(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")

    opened = await billing.open_batch(org_id, 70)
    again = await billing.open_batch(org_id, 70, opened.lease_id)
    assert (opened.granted, opened.rest, again.lease_id) == (70, 30, opened.lease_id)
    with pytest.raises(CreditsInUse):
        await billing.open_batch(org_id, 31)
    with pytest.raises(InsufficientCredits) as caught:
        await billing.open_batch(org_id, 101)
    with pytest.raises(LeaseConflict):
        await billing.open_batch(org_id, 71, opened.lease_id)

    assert caught.value.fields == {"required": 101, "balance": 100}


async def test_a_batch_recalls_what_the_proxy_calls_do_not_use(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    slab = await billing.open_slab(org_id)
    await billing.reserve(org_id, 2)

    opened = await billing.open_batch(org_id, 98)

    assert opened.rest == 0
    assert (await billing.counter(org_id))["avail"] == "0"
    await billing.post(
        recorded(a_usage(org_id, slab.lease_id, cost=2)),
        BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=98),
    )
    assert (await billing.balance(org_id), await billing.leased(org_id)) == (0, 0)


async def test_a_batch_s_debit_ends_its_lease_and_the_remainder_returns(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    opened = await billing.open_batch(org_id, 10)

    await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=7, memo="Batch: 7 new URLs"))

    assert (await billing.balance(org_id), await billing.leased(org_id)) == (93, 0)
    with pytest.raises(LeaseClosed):
        await billing.open_batch(org_id, 10, opened.lease_id)


async def test_a_debit_of_nothing_only_closes_the_lease(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    opened = await billing.open_batch(org_id, 10)

    await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=0))

    assert (await billing.balance(org_id), await billing.leased(org_id)) == (100, 0)


async def test_a_close_that_overtakes_its_open_makes_the_open_fail(billing: Billing) -> None:
    org_id, lease_id = await billing.organization(plan="free"), uuid7()
    close = CloseLease(org_id=org_id, lease_id=lease_id)

    await billing.app.handlers.close_batch(close)
    await billing.app.handlers.close_batch(close)

    with pytest.raises(LeaseClosed):
        await billing.open_batch(org_id, 5, lease_id)
    assert await billing.leased(org_id) == 0


async def test_a_batch_that_nobody_ends_is_closed_by_time_after_a_day(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    await billing.open_batch(org_id, 10)
    await billing.finish_all()
    assert await billing.leased(org_id) == 10  # no clock of 90 s ends it

    billing.clock.skip(86_400)
    await billing.finish_all()

    assert await billing.leased(org_id) == 0
