"""Posting on real Postgres: any number of deliveries in any order has one effect."""

import random
import uuid
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.edge import UsageVoided
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.ids import derived_id, uuid7
from services.billing.domain.bucket import BucketKind
from services.billing.domain.errors import Unpostable
from services.billing.domain.ledger import PostError
from tests.support.billing import Billing, a_usage, recorded


async def test_duplicates_are_absorbed_within_a_batch_and_across_batches(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    usages = [a_usage(org_id, opened.lease_id, cost=cost) for cost in (1, 2, 1)]

    first = await billing.post(recorded(*usages), recorded(*usages))
    second = await billing.post(recorded(usages[1]))

    assert (first.rows, first.duplicates, second.rows, second.duplicates) == (3, 3, 0, 1)
    assert await billing.balance(org_id) == 96


async def test_the_same_id_with_another_payload_is_put_aside(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    usage = a_usage(org_id, opened.lease_id)
    await billing.post(recorded(usage))

    posted = await billing.post(recorded(a_usage(org_id, opened.lease_id, cost=2, id_=usage.id)))

    assert posted.refused == [PostError.OTHER_PAYLOAD]
    assert await billing.balance(org_id) == 99
    assert await billing.db.fetchval("SELECT reason FROM post_errors") == "exists_with_different_payload"


async def test_a_call_recorded_again_under_another_lease_is_charged_once(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    usage = a_usage(org_id, opened.lease_id)
    again = msgspec.structs.replace(usage, lease_id=uuid7(), key_id=uuid7())

    first = await billing.post(recorded(usage), recorded(again))
    second = await billing.post(recorded(again))

    assert (first.rows, first.duplicates, second.rows, second.duplicates) == (1, 1, 0, 1)
    assert await billing.balance(org_id) == 99
    assert await billing.db.fetchval("SELECT count(*) FROM post_errors") == 0


async def test_what_cannot_be_posted_is_put_aside_and_the_rest_is_posted(billing: Billing) -> None:
    org_id, other = await billing.organization(), await billing.organization()
    opened, foreign = await billing.open_slab(org_id), await billing.open_slab(other)
    ahead = uuid.UUID(int=uuid7().int + (600_000 << 80))

    posted = await billing.post(
        recorded(
            a_usage(org_id, uuid7()),
            a_usage(org_id, foreign.lease_id),
            a_usage(uuid.uuid4(), opened.lease_id),
            a_usage(org_id, opened.lease_id, id_=derived_id(0, "long ago")),
            a_usage(org_id, opened.lease_id, id_=ahead),
            a_usage(org_id, opened.lease_id, cost=0),
            a_usage(org_id, opened.lease_id, cost=-1),
            a_usage(org_id, opened.lease_id),
        )
    )

    assert sorted(posted.refused) == sorted(
        [PostError.UNKNOWN_LEASE, PostError.FOREIGN_LEASE, PostError.UNKNOWN_ORGANIZATION, PostError.OUT_OF_RANGE,
         PostError.OUT_OF_RANGE, PostError.MALFORMED, PostError.MALFORMED]
    )  # fmt: skip
    assert (await billing.balance(org_id), await billing.balance(other)) == (99, 100)


async def test_data_that_the_database_refuses_does_not_take_its_neighbours_along(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    good = [a_usage(org_id, opened.lease_id) for _ in range(2)]
    bad = a_usage(org_id, opened.lease_id)
    bad = type(bad)(**{name: getattr(bad, name) for name in bad.__struct_fields__} | {"route": "a\x00b"})

    with pytest.raises(Unpostable):
        await billing.post(recorded(good[0]), recorded(bad))
    assert await billing.balance(org_id) == 100  # nothing of the batch: the bus hands over one message at a time
    with pytest.raises(Unpostable):
        await billing.post(recorded(good[0], bad, good[1]))

    assert await billing.balance(org_id) == 98
    assert await billing.db.fetchval("SELECT reason FROM post_errors WHERE id = $1", bad.id) == "malformed"


async def test_a_void_undoes_a_posted_call_once(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    usage = a_usage(org_id, opened.lease_id, cost=2)
    await billing.post(recorded(usage))

    first = await billing.post(UsageVoided(org_id=org_id, ids=(usage.id,)))
    second = await billing.post(UsageVoided(org_id=org_id, ids=(usage.id,)), recorded(usage))

    assert (first.voided_late, second.voided_late, second.duplicates) == (1, 0, 1)
    assert await billing.balance(org_id) == 100


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_void_that_comes_first_makes_the_call_free(billing: Billing, in_one_batch: bool) -> None:
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    usage = a_usage(org_id, opened.lease_id, cost=2)
    void = UsageVoided(org_id=org_id, ids=(usage.id,))

    if in_one_batch:
        last = await billing.post(void, recorded(usage))
    else:
        await billing.post(void)
        last = await billing.post(recorded(usage))

    assert (last.dropped, last.rows) == (1, 0)
    assert await billing.balance(org_id) == 100


async def test_a_foreign_void_undoes_nothing(billing: Billing) -> None:
    org_id, other = await billing.organization(), await billing.organization()
    opened = await billing.open_slab(org_id)
    usage = a_usage(org_id, opened.lease_id)
    await billing.post(recorded(usage))

    await billing.post(UsageVoided(org_id=other, ids=(usage.id,)))

    assert (await billing.balance(org_id), await billing.balance(other)) == (99, 100)


async def test_refunds_go_back_to_where_they_were_paid_from_and_never_exceed_the_debit(billing: Billing) -> None:
    org_id = await billing.organization(plan="free", topup=50)
    opened = await billing.open_batch(org_id, 120)  # 100 of the plan, 20 of the top-up
    debit = BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=120)

    def refund(amount: int) -> BatchRefunded:
        return BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=opened.lease_id, amount=amount)

    one, two, three = refund(30), refund(90), refund(1)
    await billing.post(debit, one)
    first = {bucket.kind: bucket.balance for bucket in (await billing.books.balance(org_id)).buckets}
    assert first == {"plan": 10, "topup": 50}  # the last leg first
    posted = await billing.post(one, two, three, debit)

    assert (posted.duplicates, posted.refused) == (2, [PostError.REFUND_EXCEEDS_DEBIT])
    assert await billing.balance(org_id) == 150


async def test_a_refund_of_an_ended_bucket_gets_a_bucket_of_the_current_period(billing: Billing) -> None:
    org_id = await billing.organization(plan=None)
    await billing.grant(org_id, 10, kind=BucketKind.PROMO, memo="short", days=1)
    opened = await billing.open_batch(org_id, 10)
    await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=10))
    subscription = await billing.start(org_id, "free")
    billing.clock.skip(timedelta(days=2).total_seconds())

    refund = BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=opened.lease_id, amount=4)
    await billing.post(refund)
    await billing.post(refund)

    buckets = {bucket.kind: bucket for bucket in (await billing.books.balance(org_id)).buckets}
    assert (buckets["refund"].balance, buckets["refund"].ends_at) == (4, subscription.period_end)


async def test_a_refund_before_its_debit_waits_and_follows(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_batch(org_id, 10)
    refund = BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=opened.lease_id, amount=3)

    early = await billing.post(refund)
    await billing.app.work.retry_refunds()
    assert early.refused == [PostError.REFUND_WITHOUT_DEBIT]
    await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=10))
    for _ in range(2):
        await billing.app.work.retry_refunds()

    assert await billing.balance(org_id) == 93
    assert (await billing.books.reconcile(in_full=True)).post_errors == 0


async def test_a_refund_of_a_call_or_of_another_organization_is_refused(billing: Billing) -> None:
    org_id, other = await billing.organization(), await billing.organization()
    slab, batch = await billing.open_slab(org_id), await billing.open_batch(other, 5)
    usage = a_usage(org_id, slab.lease_id)
    await billing.post(recorded(usage), BatchDebited(org_id=other, batch_id=batch.lease_id, amount=5))

    posted = await billing.post(
        BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=usage.id, amount=1),
        BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=batch.lease_id, amount=1),
    )

    assert posted.refused == [PostError.REFUND_OF_OTHER] * 2


async def test_reordered_and_repeated_messages_end_in_the_same_balance(billing: Billing) -> None:
    org_id = await billing.organization(plan="free", topup=20)
    slab, batch = await billing.open_slab(org_id), await billing.open_batch(org_id, 15)
    usages = [a_usage(org_id, slab.lease_id, cost=1 + number % 2) for number in range(20)]
    refund = BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=batch.lease_id, amount=6)
    messages = [
        *(recorded(usage) for usage in usages),
        UsageVoided(org_id=org_id, ids=(usages[0].id, usages[1].id)),
        BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=12),
        refund,
    ]
    storm = messages * 3
    random.Random(7).shuffle(storm)

    for start in range(0, len(storm), 5):
        await billing.post(*storm[start : start + 5])
    await billing.app.work.retry_refunds()
    await billing.finish_all()

    spent = 10 * 1 + 10 * 2 - 3
    assert await billing.balance(org_id) == 120 - spent - 12 + 6
    assert await billing.leased(org_id) == 0
    found = await billing.books.verify(org_id)
    assert found.is_ok


async def test_balances_are_announced_at_once_when_credits_come_and_rarely_when_they_go(billing: Billing) -> None:
    org_id = await billing.organization(plan="pro")
    opened = await billing.open_slab(org_id)
    await billing.said("billing.balance.changed.v1")
    billing.clock.skip(2)

    for _ in range(5):
        await billing.post(recorded(a_usage(org_id, opened.lease_id)))
    assert await billing.said("billing.balance.changed.v1", "balance") == [(4999,)]
    billing.clock.skip(1)
    await billing.app.work.announcements()
    assert await billing.said("billing.balance.changed.v1", "balance") == [(4995,)]
    await billing.grant(org_id, 5, kind=BucketKind.TOPUP, memo="test")
    assert await billing.said("billing.balance.changed.v1", "balance") == [(5000,)]


async def test_a_low_balance_is_warned_of_once_per_threshold(billing: Billing) -> None:
    org_id = await billing.organization(plan="free")
    warned: list[tuple[int, int]] = []

    for amount in (79, 1, 14, 1, 5):
        opened = await billing.open_batch(org_id, amount)
        billing.clock.skip(2)
        await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=amount))
        warned += await billing.said("billing.credits.low.v1", "balance", "threshold_percent")

    assert warned == [(20, 20), (5, 5), (0, 0)]
