"""One suite for the ledger in memory and the one in Postgres: the state machine's model keeps the promises of the real thing."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.db.errors import CheckViolation
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import derived_id, uuid7
from services.billing.domain.bucket import BucketKind
from services.billing.domain.errors import RacedPosting, Unpostable
from services.billing.domain.lease import BATCH_REF, Holder, Lease, LeaseState, closing, shrunk
from services.billing.domain.ledger import CALLS, ISSUANCE, Code, PostError, Transfer
from services.billing.domain.plan import Subscription
from services.billing.domain.ports import Ledger, Parked
from services.billing.store.postgres import PostgresLedger
from tests.support.billing import QUICK
from tests.support.ledger_model import MemoryLedger, ModelClock
from tests.support.servers import Servers, a_database

NOW = datetime.now(UTC)
OVERDRAWN = (AssertionError, Unpostable, CheckViolation)


@pytest.fixture(params=["memory", "postgres"])
async def ledger(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger(ModelClock(NOW))
        return
    async with a_database(servers) as database:
        db = await Database.connect(database.dsn("billing"), schema="billing", name="contract")
        yield PostgresLedger(db, Outbox())
        await db.close()


@pytest.fixture
async def org_id(ledger: Ledger) -> uuid.UUID:
    one = uuid.uuid4()
    async with ledger.transaction() as tx:
        await tx.add_organization(one)
        await tx.add_organization(one)
    return one


async def a_bucket(ledger: Ledger, org_id: uuid.UUID, balance: int) -> int:
    async with ledger.transaction() as tx:
        bucket = await tx.add_bucket(org_id, BucketKind.PROMO, uuid7(), NOW - timedelta(days=1), None)
        await tx.append([a_row(org_id, Code.PROMO, balance, ISSUANCE, bucket)])
    return bucket


def a_row(org_id: uuid.UUID, code: Code, amount: int, debit: int, credit: int, **changed: Any) -> Transfer:
    facts: dict[str, Any] = {"id": uuid7(), "key_id": org_id, "route": "r"} | changed
    return Transfer(code=int(code), amount=amount, org_id=org_id, debit_account=debit, credit_account=credit, **facts)


def a_lease(org_id: uuid.UUID, amount: int = 10, **changed: Any) -> Lease:
    end = NOW + timedelta(seconds=30)
    facts: dict[str, Any] = {"id": uuid7(), "holder": Holder.COUNTER, "ref": "epoch", "not_after": end} | changed
    return Lease(org_id=org_id, amount=amount, burn_at=end, **facts)


async def test_only_known_organizations_are_locked(ledger: Ledger, org_id: uuid.UUID) -> None:
    async with ledger.transaction() as tx:
        locked = await tx.lock([org_id, uuid.uuid4()])
        await tx.set_slab(org_id, 200)
        assert [await tx.raise_versions([org_id]) for _ in range(2)] == [{org_id: 1}, {org_id: 2}]
        after = (await tx.lock([org_id]))[org_id]

    assert list(locked) == [org_id]
    assert (locked[org_id].slab, after.slab, after.version, after.is_frozen) == (50, 200, 2, False)


async def test_a_bucket_of_an_origin_is_made_once(ledger: Ledger, org_id: uuid.UUID) -> None:
    origin = uuid7()
    async with ledger.transaction() as tx:
        ids = [await tx.add_bucket(org_id, kind, origin, NOW, None) for kind in (BucketKind.REFUND, BucketKind.REFUND)]
        other = await tx.add_bucket(org_id, BucketKind.TOPUP, origin, NOW, NOW + timedelta(days=1))
        (refund,) = (await tx.buckets_by_id([ids[0]])).values()

    assert ids[0] == ids[1] != other
    assert (refund.kind, refund.ends_at, refund.balance) == (BucketKind.REFUND, None, 0)


async def test_rows_move_balances_and_leases(ledger: Ledger, org_id: uuid.UUID) -> None:
    bucket, lease = await a_bucket(ledger, org_id, 20), a_lease(org_id)
    async with ledger.transaction() as tx:
        await tx.add_lease(lease)
        rows = [
            a_row(org_id, Code.CALL, 3, bucket, CALLS, lease_id=lease.id),
            a_row(org_id, Code.CALL, 4, bucket, CALLS, lease_id=lease.id),
            a_row(org_id, Code.WAIVED, 9, 106, CALLS, lease_id=lease.id),  # consumes no lease
        ]
        await tx.append(rows)
        found = await tx.transfers([row.id for row in rows] + [uuid7()])
        (after,) = await tx.buckets([org_id])
        (spent,) = await tx.live_leases(org_id)

    assert found == {row.id: [row] for row in rows}
    assert (after.credits, after.debits) == (20, 7)
    assert (spent.posted, spent.outstanding) == (7, 3)


async def test_a_known_id_stops_the_whole_append(ledger: Ledger, org_id: uuid.UUID) -> None:
    bucket = await a_bucket(ledger, org_id, 20)
    row = a_row(org_id, Code.CALL, 3, bucket, CALLS)
    async with ledger.transaction() as tx:
        await tx.append([row])

    with pytest.raises(RacedPosting):
        async with ledger.transaction() as tx:
            await tx.append([a_row(org_id, Code.CALL, 1, bucket, CALLS), row])

    async with ledger.transaction() as tx:
        assert [one.balance for one in await tx.buckets([org_id])] == [17]


async def test_nothing_is_overdrawn(ledger: Ledger, org_id: uuid.UUID) -> None:
    bucket, lease = await a_bucket(ledger, org_id, 20), a_lease(org_id, 5)
    async with ledger.transaction() as tx:
        await tx.add_lease(lease)

    for row in (
        a_row(org_id, Code.CALL, 21, bucket, CALLS),
        a_row(org_id, Code.CALL, 6, bucket, CALLS, lease_id=lease.id),
    ):
        with pytest.raises(OVERDRAWN):
            async with ledger.transaction() as tx:
                await tx.append([row])

    async with ledger.transaction() as tx:
        assert [one.balance for one in await tx.buckets([org_id])] == [20]


async def test_a_lease_s_life(ledger: Ledger, org_id: uuid.UUID) -> None:
    lease, other = a_lease(org_id), uuid.uuid4()
    async with ledger.transaction() as tx:
        await tx.add_lease(lease)
        assert (await tx.leases([lease.id]))[lease.id] == lease
        assert await tx.finish_leases({lease.id: org_id}, closing_only=True, at=NOW) == 0  # it still grants
        shut = closing(shrunk(lease, 4), returned=None, at=NOW, rules=QUICK)
        await tx.update_lease(shut)

    assert shut.final_after is not None
    late = shut.final_after - timedelta(seconds=1)
    assert await ledger.leases_to_finish(late, limit=9) == []
    assert [one.id for one in await ledger.leases_to_finish(late + timedelta(seconds=1), limit=9)] == [lease.id]
    async with ledger.transaction() as tx:
        assert await tx.finish_leases({lease.id: other}, closing_only=True, at=NOW) == 0  # not its organization
        assert await tx.finish_leases({lease.id: org_id}, closing_only=True, at=NOW) == 1
        assert await tx.finish_leases({lease.id: org_id}, closing_only=False, at=NOW) == 0
        assert await tx.live_leases(org_id) == []
        (final,) = (await tx.leases([lease.id])).values()
    assert (final.state, final.amount, final.posted) == (LeaseState.FINAL, 0, 0)


async def test_leases_whose_time_is_over_are_found(ledger: Ledger, org_id: uuid.UUID) -> None:
    slab, batch = a_lease(org_id), a_lease(org_id, holder=Holder.BATCH, ref=BATCH_REF, not_after=None)
    async with ledger.transaction() as tx:
        await tx.add_lease(slab)
        await tx.add_lease(batch)
    end, day = NOW + timedelta(seconds=30), timedelta(days=1)

    async def found(slabs: datetime, batches: datetime) -> set[uuid.UUID]:
        leases = await ledger.leases_to_close(slabs_before=slabs, batches_before=batches, limit=9)
        return {lease.id for lease in leases}

    assert await found(end - timedelta(microseconds=1), NOW - day) == set()
    assert await found(end, NOW - day) == {slab.id}
    assert await found(NOW, NOW + day) == {batch.id}


async def test_voids_and_what_is_put_aside_may_be_repeated(ledger: Ledger, org_id: uuid.UUID) -> None:
    ids = [uuid7(), uuid7()]
    waiting = Parked(id=ids[0], reason=PostError.REFUND_WITHOUT_DEBIT, payload=b"{}")
    async with ledger.transaction() as tx:
        for _ in range(2):
            await tx.add_voids(org_id, ids[:1])
            await tx.park([waiting])
        assert await tx.voided(ids) == {ids[0]}

    before = datetime.now(UTC) - timedelta(hours=1)
    assert await ledger.refunds_to_retry(before, limit=9) == [b"{}"]
    async with ledger.transaction() as tx:
        await tx.park([Parked(id=ids[0], reason=PostError.REFUND_EXCEEDS_DEBIT, payload=b"{}")])
    assert await ledger.refunds_to_retry(before, limit=9) == []


async def test_subscriptions_and_warnings(ledger: Ledger, org_id: uuid.UUID) -> None:
    async with ledger.transaction() as tx:
        plan = await tx.plan("free")
        assert plan is not None
        assert plan.monthly_credits == 100
        assert await tx.plan("golden") is None
        assert await tx.subscription(org_id) is None
        subscription = Subscription(
            org_id=org_id,
            plan=plan,
            status="active",
            period_start=NOW,
            period_end=NOW + timedelta(days=30),
            anchor_day=1,
        )
        await tx.set_subscription(subscription)
        await tx.set_subscription(subscription)
        assert await tx.subscription(org_id) == subscription
        assert await tx.subscriptions([org_id, uuid.uuid4()]) == {org_id: subscription}
        assert sorted(await tx.add_low_warnings(org_id, NOW, [20, 5])) == [5, 20]
        assert await tx.add_low_warnings(org_id, NOW, [20, 5, 0]) == [0]


async def test_what_raises_leaves_nothing_behind(ledger: Ledger, org_id: uuid.UUID) -> None:
    with pytest.raises(KeyError):
        async with ledger.transaction() as tx:
            await tx.add_lease(a_lease(org_id))
            await tx.add_voids(org_id, [uuid.UUID(int=5)])
            raise KeyError

    async with ledger.transaction() as tx:
        assert await tx.live_leases(org_id) == []
        assert await tx.voided([uuid.UUID(int=5)]) == set()


async def test_a_subscription_is_due_at_its_time_the_longest_first(ledger: Ledger, org_id: uuid.UUID) -> None:
    async with ledger.transaction() as tx:
        plan = await tx.plan("free")
        assert plan is not None
        other = uuid.uuid4()
        await tx.add_organization(other)
        for one, days in ((org_id, 2), (other, 1)):
            subscription = Subscription(
                org_id=one, plan=plan, status="past_due", period_start=NOW, period_end=NOW + timedelta(days=30),
                anchor_day=1, next_plan="pro", cancels=True, past_due_since=NOW, allowance=7,
                due_at=NOW + timedelta(days=days),
            )  # fmt: skip
            await tx.set_subscription(subscription)
        assert await tx.subscription(other) == subscription

    assert await ledger.organizations_due(NOW + timedelta(hours=47), limit=9) == [other]
    assert await ledger.organizations_due(NOW + timedelta(days=2), limit=9) == [other, org_id]
    assert await ledger.organizations_due(NOW + timedelta(days=2), limit=1) == [other]


async def test_buckets_end_and_close_unless_a_lease_burns_from_them(ledger: Ledger, org_id: uuid.UUID) -> None:
    bucket = await a_bucket(ledger, org_id, 10)
    lease = a_lease(org_id)
    async with ledger.transaction() as tx:
        await tx.end_buckets([bucket], lease.burn_at)
        await tx.add_lease(lease)
    assert await ledger.organizations_to_close(lease.burn_at, limit=9) == []
    async with ledger.transaction() as tx:
        await tx.finish_leases({lease.id: org_id}, closing_only=False, at=NOW)
    assert await ledger.organizations_to_close(lease.burn_at - timedelta(microseconds=1), limit=9) == []
    assert await ledger.organizations_to_close(lease.burn_at, limit=9) == [org_id]

    async with ledger.transaction() as tx:
        await tx.close_buckets([bucket], NOW)
        assert await tx.buckets([org_id]) == []
        assert (await tx.buckets_by_id([bucket]))[bucket].is_closed
        await tx.end_buckets([bucket], NOW)  # a closed one stays as it was
        assert (await tx.buckets_by_id([bucket]))[bucket].ends_at == lease.burn_at
    assert await ledger.organizations_to_close(lease.burn_at, limit=9) == []


async def test_the_plan_credits_of_a_period_are_counted_from_its_start(ledger: Ledger, org_id: uuid.UUID) -> None:
    bucket = await a_bucket(ledger, org_id, 10)
    at = NOW.replace(microsecond=0)
    async with ledger.transaction() as tx:
        for ms, amount in ((-1, 1), (0, 2), (1, 4)):
            id_ = derived_id(int(at.timestamp() * 1000) + ms, str(amount))
            await tx.append([a_row(org_id, Code.GRANT, amount, ISSUANCE, bucket, id=id_)])
        assert await tx.granted(org_id, at) == 6
        assert await tx.granted(uuid.uuid4(), at) == 0
