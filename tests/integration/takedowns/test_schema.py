"""What the database itself holds takedowns to."""

import uuid
from collections.abc import AsyncIterator

import pytest

from libs.common.db.errors import CheckViolation, Forbidden, UniqueViolation
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from tests.support.servers import TestDatabase

ORG = uuid.UUID("0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01")
ADD_CREATOR = """INSERT INTO creators (public_id, org_id, stage_name, email, email_key) VALUES ($1, $2, 'A', 'a@x.com', 'a@x.com')
                 RETURNING id"""


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    opened = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test")
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    "table", ["creators", "creator_stats", "urls", "url_events", "batch_refunds", "notices", "inbound"]
)
async def test_records_cannot_be_deleted_with_the_services_rights(db: Database, table: str) -> None:
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(Forbidden):
            await db.execute(statement)


async def test_an_address_is_one_creators_until_it_is_deleted(db: Database) -> None:
    first = await db.fetchval(ADD_CREATOR, uuid7(), ORG)
    with pytest.raises(UniqueViolation):
        await db.fetchval(ADD_CREATOR, uuid7(), ORG)
    await db.fetchval(ADD_CREATOR, uuid7(), uuid7())  # another organization's is another's
    await db.execute("UPDATE creators SET deleted_at = now() WHERE id = $1", first)
    assert await db.fetchval(ADD_CREATOR, uuid7(), ORG) != first


async def test_a_batch_gives_back_no_more_than_it_took(db: Database) -> None:
    add = """INSERT INTO batches (id, org_id, status, required, debited, refunded, settled_at)
             VALUES ($1, $2, 'accepted', 3, $3, $4, now())"""
    await db.execute(add, uuid7(), ORG, 3, 3)
    for debited, refunded in ((4, 0), (2, 3)):
        with pytest.raises(CheckViolation):
            await db.execute(add, uuid7(), ORG, debited, refunded)


async def test_checks_have_a_place_for_this_month_and_the_next(db: Database) -> None:
    add = """INSERT INTO checks (creator_id, url_id, at, verdict)
             VALUES (1, $1, now() + make_interval(months => $2), 'alive')"""
    for months in (0, 1, 2):
        await db.execute(add, uuid7(), months)
    await db.execute("SELECT checks_keep_partitions()")  # again: nothing is in the way
