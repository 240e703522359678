"""The period's end on the real ledger: who comes first renews, leases hold buckets open, an immediate end takes back."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.ids import uuid7
from services.billing.domain.errors import InsufficientCredits, NoSubscription, SubscriptionPastDue
from services.billing.domain.ledger import Code
from tests.support.billing import Billing, a_billing, a_usage, recorded
from tests.support.servers import TestDatabase

MS = timedelta(milliseconds=1)


async def period_end_of(billing: Billing, org_id: uuid.UUID) -> Any:
    return await billing.db.fetchval("SELECT period_end FROM subscriptions WHERE org_id = $1", org_id)


async def stand_at(billing: Billing, at: Any) -> None:
    """Move the clock to `at` (it goes on from there by itself)."""
    billing.clock.skip((at - billing.clock.now()).total_seconds())


async def grants(billing: Billing, org_id: uuid.UUID) -> list[int]:
    rows = await billing.db.fetch(
        "SELECT amount FROM transfers WHERE org_id = $1 AND code = $2 ORDER BY id", org_id, int(Code.GRANT)
    )
    return [row["amount"] for row in rows]


async def spend_all(billing: Billing, org_id: uuid.UUID, amount: int) -> None:
    batch = await billing.open_batch(org_id, amount)
    await billing.post(BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=amount))


async def test_a_payer_never_sees_402_at_the_period_s_end_though_the_timer_is_late(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    await spend_all(billing, org_id, 100)
    end = await period_end_of(billing, org_id)
    await stand_at(billing, end - timedelta(seconds=5))
    with pytest.raises(InsufficientCredits):
        await billing.open_slab(org_id)

    await stand_at(billing, end)
    opened = await billing.open_slab(org_id)

    assert opened.granted + opened.rest == 100
    assert await grants(billing, org_id) == [100, 100]


async def test_timers_calls_and_operators_at_once_renew_once(billing: Billing) -> None:
    orgs = [await billing.organization(plan="free") for _ in range(6)]
    await stand_at(billing, await period_end_of(billing, orgs[-1]))

    await asyncio.gather(
        *(billing.app.work.renew_periods() for _ in range(4)),
        *(billing.open_slab(org_id) for org_id in orgs),
        *(billing.start(org_id, "free") for org_id in orgs),
    )

    for org_id in orgs:
        assert await grants(billing, org_id) == [100, 100]
    expired = await billing.db.fetchval("SELECT sum(amount) FROM transfers WHERE code = $1", int(Code.EXPIRE))
    assert expired == 600
    assert (await billing.books.verify(None)).organizations


@pytest.mark.parametrize("before", [1, 2, 5])
async def test_openmeter_4845_a_lease_over_the_period_s_end_is_paid_by_the_old_period(
    billing: Billing, before: int
) -> None:
    """A call belongs to the period in which it was admitted, however late it is posted; what is left expires after it."""
    org_id = await billing.organization(plan="free")
    end = await period_end_of(billing, org_id)
    await stand_at(billing, end - before * timedelta(seconds=1))
    opened = await billing.open_slab(org_id)

    await stand_at(billing, end + MS)
    await billing.app.work.renew_periods()
    closed = await billing.db.fetchval("SELECT count(*) FROM accounts WHERE closed_at IS NOT NULL")
    await billing.post(recorded(a_usage(org_id, opened.lease_id, 40)))
    await billing.finish_all()
    done = await billing.app.work.renew_periods()

    assert closed == 0
    assert (done.buckets, done.credits) == (1, 60)
    rows = await billing.db.fetch("SELECT credits, debits FROM accounts WHERE org_id = $1 ORDER BY ends_at", org_id)
    assert [(row["credits"], row["debits"]) for row in rows] == [(100, 100), (100, 0)]


async def test_a_refund_after_the_period_s_end_ends_with_the_running_one(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    batch = await billing.open_batch(org_id, 40)
    await billing.post(BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=40))
    await stand_at(billing, await period_end_of(billing, org_id))
    await billing.app.work.renew_periods()
    await billing.post(BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=batch.lease_id, amount=15, memo=""))

    await stand_at(billing, await period_end_of(billing, org_id))
    done = await billing.app.work.renew_periods()

    assert (done.buckets, done.credits) == (2, 115)
    assert (await billing.books.verify(org_id)).organizations[0].drift_accounts == 0


async def test_an_immediate_end_takes_back_the_lease_and_lets_what_was_admitted_be_paid(billing: Billing) -> None:
    org_id = await billing.organization(plan="free", topup=7)
    opened = await billing.open_slab(org_id, cost=5)
    assert await billing.reserve(org_id, 5) == opened.lease_id

    for _ in range(2):
        assert (await billing.end(org_id)).status == "cancelled"

    assert await billing.counter(org_id) == {}
    assert await billing.reserve(org_id, 1) is None
    with pytest.raises(NoSubscription):
        await billing.open_slab(org_id)
    billing.clock.skip(31)
    assert (await billing.app.work.renew_periods()).buckets == 0  # the admitted call is still under way
    await billing.post(recorded(a_usage(org_id, opened.lease_id, 5)))
    await billing.finish_all()
    done = await billing.app.work.renew_periods()
    assert (done.buckets, done.credits) == (1, 95)
    assert (await billing.books.verify(org_id)).organizations[0].stored == 7


@pytest.mark.parametrize("grace", [timedelta(0), timedelta(hours=1)])
async def test_R052_past_due_is_402_at_once_or_after_the_grace(
    database: TestDatabase, redis_url: str, grace: timedelta
) -> None:
    async with a_billing(database, redis_url, grace=grace) as billing:
        org_id = await billing.organization(plan="free")
        await billing.past_due(org_id)
        if grace:
            assert (await billing.open_slab(org_id)).granted
            billing.clock.skip(grace.total_seconds())
        with pytest.raises(SubscriptionPastDue):
            await billing.open_slab(org_id)
        assert [status for (status,) in await billing.said("billing.subscription.changed.v1", "status")] == [
            "active",
            "active" if grace else "past_due",
        ]
        await billing.app.work.renew_periods()
        told = await billing.said("billing.subscription.changed.v1", "status")
        assert told == ([("past_due",)] if grace else [])
