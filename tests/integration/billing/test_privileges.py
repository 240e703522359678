"""The ledger is append-only, by privilege for the service and by trigger for everybody else."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from libs.common.db.errors import CheckViolation, Forbidden
from libs.common.ids import uuid7
from tests.support.billing import Billing, a_usage, recorded
from tests.support.servers import TestDatabase

COLUMNS = "id, leg, code, amount, org_id, debit_account, credit_account"

AS_SERVICE = {
    "update a transfer": "UPDATE transfers SET amount = 1",
    "delete a transfer": "DELETE FROM transfers",
    "truncate transfers": "TRUNCATE transfers",
    "truncate a partition": "TRUNCATE {partition}",
    "forge the transaction id": f"INSERT INTO transfers ({COLUMNS}, posted_xid) VALUES ({{row}}, 1)",
    "forge the time": f"INSERT INTO transfers ({COLUMNS}, posted_at) VALUES ({{row}}, '2020-01-01')",
    "write into a partition": f"INSERT INTO {{partition}} ({COLUMNS}) VALUES ({{row}})",
    "write a balance": "UPDATE accounts SET credits = 1000000",
    "insert a balance": "INSERT INTO accounts (org_id, kind, origin, credits) VALUES ('{org}', 2, gen_random_uuid(), 5)",
    "delete a bucket": "DELETE FROM accounts",
    "write what a lease has posted": "UPDATE leases SET posted = 0",
    "delete a lease": "DELETE FROM leases",
    "change a seal": "UPDATE seals SET n = 0",
    "write a seal": "INSERT INTO org_seals VALUES ('{org}', 9, 1, 1, '', '')",
    "forget an error": "DELETE FROM post_errors",
    "forget a void": "DELETE FROM voids",
    "disable a trigger": "ALTER TABLE transfers DISABLE TRIGGER ALL",
    "drop a partition": "DROP TABLE {partition}",
    "become the owner": "SET ROLE billing_owner",
    "turn triggers off": "SET session_replication_role = replica",
    "change the rules": "CREATE OR REPLACE FUNCTION billing.append_only() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "call the protected": "SELECT protect('transfers')",
}

AS_SUPERUSER = {
    "update": "UPDATE billing.transfers SET amount = 1",
    "delete": "DELETE FROM billing.transfers",
    "truncate": "TRUNCATE billing.transfers CASCADE",
    "truncate a partition": "TRUNCATE billing.{partition}",
    "update a partition": "UPDATE billing.{partition} SET amount = 1",
    "delete a seal": "DELETE FROM billing.seals",
    "update an organization's seal": "UPDATE billing.org_seals SET n = 7",
}


@pytest.fixture
async def places(billing: Billing) -> dict[str, str]:
    """An organization with a posted call, sealed, and the words the statements need."""
    org_id = await billing.organization()
    opened = await billing.open_slab(org_id)
    await billing.post(recorded(a_usage(org_id, opened.lease_id)))
    await billing.books.seal()
    bucket = await billing.db.fetchval("SELECT id FROM accounts WHERE org_id = $1", org_id)
    partition = await billing.db.fetchval("SELECT tableoid::regclass::text FROM transfers LIMIT 1")
    row = f"'{uuid7()}', 0, 3, 5, '{org_id}', 100, {bucket}"
    return {"org": str(org_id), "row": row, "partition": partition.removeprefix("billing.")}


@pytest.fixture
async def superuser(database: TestDatabase) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def test_the_service_may_only_append(billing: Billing, places: dict[str, str]) -> None:
    for attempt, sql in AS_SERVICE.items():
        with pytest.raises(Forbidden):
            await billing.db.execute(sql.format(**places))
            pytest.fail(f"allowed: {attempt}")

    await billing.db.execute(f"INSERT INTO transfers ({COLUMNS}) VALUES ({places['row']})")  # what it may do


async def test_owner_and_superuser_are_refused_too_also_as_a_replica(superuser: Any, places: dict[str, str]) -> None:
    for role in ("RESET ROLE", "SET ROLE billing_owner"):
        for replication in ("origin", "replica"):
            await superuser.execute("RESET ROLE")
            await superuser.execute(f"SET session_replication_role = {replication}")
            await superuser.execute(role)
            for attempt, sql in AS_SUPERUSER.items():
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                    await superuser.execute(sql.format(**places))
                    pytest.fail(f"allowed: {attempt} as {role}, {replication}")


async def test_auditors_read_and_do_nothing_else(superuser: Any, places: dict[str, str]) -> None:
    await superuser.execute("SET ROLE billing_read")

    assert await superuser.fetchval("SELECT count(*) FROM billing.transfers") == 2
    assert await superuser.fetchval("SELECT length(billing.row_bytes(t)) FROM billing.transfers t LIMIT 1") > 100
    for sql in ("SELECT billing.seal()", f"INSERT INTO billing.transfers ({COLUMNS}) VALUES ({places['row']})"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.execute(sql)


async def test_the_schema_refuses_what_must_not_be(billing: Billing) -> None:
    org_id = await billing.organization()
    opened = await billing.open_batch(org_id, 10)
    bucket = await billing.db.fetchval("SELECT id FROM accounts WHERE org_id = $1", org_id)

    async def insert(code: int, amount: int, debit: int, credit: int, lease: uuid.UUID | None = None) -> None:
        await billing.db.execute(
            f"INSERT INTO transfers ({COLUMNS}, lease_id) VALUES ($1, 0, $2, $3, $4, $5, $6, $7)",
            uuid7(), code, amount, org_id, debit, credit, lease,
        )  # fmt: skip

    for code, amount, debit, credit, lease in (
        (11, 101, bucket, 103, None),  # more than the bucket has
        (11, 11, bucket, 103, opened.lease_id),  # more than was leased
        (3, 0, 100, bucket, None),  # nothing
        (3, -5, 100, bucket, None),  # a debit in disguise
        (3, 5, bucket, bucket, None),  # to itself
        (10, 1, bucket, 102, None),  # a call without key and route
    ):
        with pytest.raises(CheckViolation):
            await insert(code, amount, debit, credit, lease)
    assert await billing.balance(org_id) == 100
