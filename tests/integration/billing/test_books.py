"""Reading and checking the books: balances, listings, seals, and what tampering looks like."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from libs.common.contracts.edge import UsageVoided
from libs.common.contracts.takedowns import BatchDebited, BatchRefunded
from libs.common.ids import derived_id, uuid7
from tests.support.billing import Billing, a_usage, recorded
from tests.support.servers import TestDatabase


@pytest.fixture
async def superuser(database: TestDatabase) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def spend(billing: Billing, org_id: uuid.UUID, calls: int) -> None:
    opened = await billing.open_slab(org_id, cost=calls, ref="edge:books")
    await billing.post(recorded(*(a_usage(org_id, opened.lease_id) for _ in range(calls))))


async def test_a_balance_names_buckets_and_what_is_set_aside(billing: Billing) -> None:
    org_id = await billing.organization(plan="free", topup=20)
    await billing.open_batch(org_id, 30)

    balance = await billing.books.balance(org_id)

    assert (balance.balance, balance.leased) == (120, 30)
    assert [(bucket.kind, bucket.balance) for bucket in balance.buckets] == [("plan", 100), ("topup", 20)]
    assert balance.buckets[0].ends_at is not None
    assert balance.buckets[1].ends_at is None
    nobody = await billing.books.balance(uuid.uuid4())
    assert (nobody.balance, nobody.leased, nobody.buckets) == (0, 0, ())


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_the_listing_folds_calls_to_one_row_a_day_sealed_or_not(billing: Billing, is_sealed: bool) -> None:
    org_id = await billing.organization(plan="pro", topup=20)
    opened = await billing.open_slab(org_id)
    usages = [a_usage(org_id, opened.lease_id, cost=2) for _ in range(3)]
    await billing.post(recorded(*usages))
    if is_sealed:
        await billing.books.seal()
    await billing.post(UsageVoided(org_id=org_id, ids=(usages[0].id,)))
    batch = await billing.open_batch(org_id, 3)
    await billing.post(
        BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=3, memo="Batch 1: 3 new URLs"),
        BatchRefunded(org_id=org_id, refund_id=uuid7(), batch_id=batch.lease_id, amount=1, memo="Refund"),
    )

    listed = await billing.books.transactions(org_id, page=0, limit=25)

    day = listed.transactions[-1]
    assert listed.total == 4
    assert [(one.type, one.amount, one.description) for one in listed.transactions] == [
        ("refund", 1, "Refund"),
        ("debit", 3, "Batch 1: 3 new URLs"),
        ("topup", 20, "test"),
        ("debit", 4, f"API calls on {day.created_at:%Y-%m-%d}: 2"),
    ]
    assert day.id == derived_id(int(day.created_at.timestamp() * 1000), f"calls:{org_id}")
    second = await billing.books.transactions(org_id, page=1, limit=3)
    assert (second.total, second.transactions) == (4, (day,))
    beyond = await billing.books.transactions(org_id, page=9, limit=25)
    assert (beyond.total, beyond.transactions) == (4, ())


async def test_seals_chain_and_recompute(billing: Billing) -> None:
    orgs = [await billing.organization(plan="pro") for _ in range(3)]
    for round_ in range(3):
        for org_id in orgs[round_:]:
            await spend(billing, org_id, 3)
        assert await billing.books.seal() > 0
    assert await billing.books.seal() == 0

    audit = await billing.books.verify(None)

    assert audit.is_ok
    assert audit.seals == 3
    assert sorted(one.seals for one in audit.organizations) == [1, 2, 3]


async def test_formance_async_block_rows_of_a_slow_transaction_are_sealed_later_not_missed(billing: Billing) -> None:
    """Sealing up to the highest id misses rows that a slower transaction commits below it."""
    org_id = await billing.organization(plan="pro")
    await billing.books.seal()
    opened = await billing.open_batch(org_id, 10)
    async with billing.db.transaction() as slow:
        await slow.execute(
            "INSERT INTO transfers (id, code, amount, org_id, debit_account, credit_account)"
            " SELECT $1, 3, 7, org_id, 100, id FROM accounts WHERE org_id = $2",
            uuid7(),
            org_id,
        )
        other = await billing.organization(plan="free")  # commits while the slow one is open, with higher ids
        assert await billing.books.seal() == 0  # nothing behind the horizon yet
    await billing.post(BatchDebited(org_id=org_id, batch_id=opened.lease_id, amount=10))
    assert await billing.books.seal() == 3

    audit = await billing.books.verify(None)
    assert audit.is_ok
    assert {one.org_id for one in audit.organizations} == {org_id, other}
    assert await billing.db.fetchval("SELECT sum(n) FROM seals") == await billing.db.fetchval(
        "SELECT count(*) FROM transfers"
    )


async def test_tampering_with_the_triggers_dropped_is_found(billing: Billing, superuser: Any) -> None:
    orgs = [await billing.organization(plan="free") for _ in range(40)]
    for org_id in orgs:
        await spend(billing, org_id, 2)
        await billing.books.seal()
    assert (await billing.books.verify(None)).is_ok
    partition = await superuser.fetchval("SELECT tableoid::regclass::text FROM billing.transfers LIMIT 1")
    await superuser.execute(f"DROP TRIGGER keep_rows ON {partition}")

    # One byte in one row of every organization; the sums stay what they were.
    await superuser.execute(
        """UPDATE billing.transfers SET model_id = overlay(model_id::text PLACING 'f' FROM 36)::uuid
           WHERE id IN (SELECT DISTINCT ON (org_id) id FROM billing.transfers WHERE code = 10 ORDER BY org_id, id)"""
    )

    audit = await billing.books.verify(None)
    assert not audit.is_ok
    assert audit.seal_mismatches == 40
    assert all(one.seal_mismatches == 1 and one.stored == one.derived for one in audit.organizations)
    assert (await billing.books.reconcile(in_full=True)).seal_mismatches == 40


@pytest.mark.parametrize("what", ["amount", "deleted", "inserted", "seal", "org_seal"])
async def test_verify_finds_each_kind_of_tampering(billing: Billing, superuser: Any, what: str) -> None:
    org_id = await billing.organization(plan="free")
    await spend(billing, org_id, 2)
    await billing.books.seal()
    partition = await superuser.fetchval("SELECT tableoid::regclass::text FROM billing.transfers LIMIT 1")
    for table in (partition, "billing.seals", "billing.org_seals"):
        await superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER keep_rows")
    await superuser.execute("ALTER TABLE billing.transfers DISABLE TRIGGER apply_transfers")

    if what == "amount":
        await superuser.execute("UPDATE billing.transfers SET amount = amount + 1 WHERE code = 10")
    elif what == "deleted":
        await superuser.execute("DELETE FROM billing.transfers WHERE code = 10")
    elif what == "inserted":
        await superuser.execute(
            f"""INSERT INTO {partition} (id, code, amount, org_id, debit_account, credit_account, posted_xid)
                SELECT $1, 3, 5, org_id, 100, id, 1 FROM billing.accounts WHERE org_id = $2""",
            uuid7(),
            org_id,
        )
    elif what == "seal":
        await superuser.execute("UPDATE billing.seals SET chain = sha256('x')")
    else:
        await superuser.execute("UPDATE billing.org_seals SET chain = sha256('x')")

    audit = await billing.books.verify(None)
    assert not audit.is_ok
    assert audit.seal_mismatches >= 1
    if what in {"amount", "deleted", "inserted"}:
        found = await billing.books.reconcile(in_full=True)
        assert found.drift_accounts == 1
        assert found.drift_credits > 0


async def test_reconciliation_from_a_snapshot_says_the_same_as_in_full(billing: Billing, superuser: Any) -> None:
    orgs = [await billing.organization(plan="pro") for _ in range(3)]
    for _ in range(3):
        for org_id in orgs:
            await spend(billing, org_id, 3)
        await billing.books.seal()
        await billing.books.snapshot()
    await spend(billing, orgs[0], 1)
    later = await billing.organization(plan="free")

    for in_full in (True, False):
        found = await billing.books.reconcile(in_full=in_full)
        assert (found.drift_accounts, found.drift_credits, found.lease_mismatches) == (0, 0, 0)
        assert (found.refund_violations, found.expire_violations, found.grant_violations) == (0, 0, 0)
        assert (found.seal_mismatches, found.seal_number, found.leases_open["redis"]) == (0, 3, 3)

    await superuser.execute("UPDATE billing.accounts SET debits = debits + 1 WHERE org_id = ANY($1)", [orgs[1], later])
    for in_full in (True, False):
        found = await billing.books.reconcile(in_full=in_full)
        assert (found.drift_accounts, found.drift_credits) == (2, 2)


async def test_the_months_ahead_are_there(billing: Billing) -> None:
    assert await billing.books.ensure_partitions() >= 3
