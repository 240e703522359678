"""The inbox: a message has its effect once; days come and go by themselves."""

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from libs.common.db.errors import TooOld
from libs.common.db.pool import Database
from libs.common.db.tx import INBOX_DUPLICATES, accept_once, keep_inbox
from libs.common.errors import Permanent
from libs.common.ids import uuid7

DAYS_AHEAD, DAYS_KEPT = 3, 14


def id_of(moment: datetime) -> uuid.UUID:
    """A UUIDv7 as it would have been made at `moment`."""
    ms = int(moment.timestamp() * 1000)
    return uuid.UUID(int=ms << 80 | 7 << 76 | 2 << 62)


def day(offset: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=offset)


async def days_of(admin: Any) -> list[date]:
    rows = await admin.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'probe.inbox'::regclass"
    )
    return sorted(datetime.strptime(row["relname"], "inbox_%Y%m%d").replace(tzinfo=UTC).date() for row in rows)


async def handle(db: Database, message_id: uuid.UUID, consumer: str = "probe") -> bool:
    """A handler with an effect."""
    async with db.transaction() as tx:
        if not await accept_once(tx, consumer, message_id):
            return False
        await tx.execute("INSERT INTO things (id, amount) VALUES ($1, 1)", uuid7())
        return True


async def effects(db: Database) -> int:
    return int(await db.fetchval("SELECT count(*) FROM things"))


async def test_a_duplicate_has_no_effect_and_is_counted(db: Database) -> None:
    message_id = uuid7()
    before = INBOX_DUPLICATES.labels("probe")._value.get()
    assert [await handle(db, message_id) for _ in range(3)] == [True, False, False]
    assert await effects(db) == 1
    assert INBOX_DUPLICATES.labels("probe")._value.get() - before == 2


async def test_deliveries_at_the_same_time_have_one_effect(db: Database) -> None:
    message_id = uuid7()
    handled = await asyncio.gather(*(handle(db, message_id) for _ in range(6)))
    assert sorted(handled) == [False] * 5 + [True]
    assert await effects(db) == 1


async def test_an_effect_that_was_undone_may_be_had_again(db: Database) -> None:
    message_id = uuid7()
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            assert await accept_once(tx, "probe", message_id)
            raise ZeroDivisionError
    assert await handle(db, message_id)


async def test_two_consumers_of_one_message_do_not_disturb_each_other(db: Database) -> None:
    message_id = uuid7()
    assert await handle(db, message_id, "probe")
    assert await handle(db, message_id, "other")


@pytest.mark.parametrize("offset", [timedelta(days=-60), timedelta(days=DAYS_AHEAD + 2)])
async def test_an_id_outside_the_remembered_days_is_refused_for_good(db: Database, offset: timedelta) -> None:
    with pytest.raises(TooOld) as refusal:
        await handle(db, id_of(datetime.now(UTC) + offset))
    assert isinstance(refusal.value, Permanent)


async def test_an_id_that_is_no_uuid7_is_refused_for_good(db: Database) -> None:
    with pytest.raises(TooOld):
        await handle(db, uuid.UUID(int=5))


async def test_days_are_there_ahead_of_time_and_each_id_finds_its_own(db: Database, admin: Any) -> None:
    assert await days_of(admin) == [day(offset) for offset in range(-1, DAYS_AHEAD + 1)]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for moment in (midnight, midnight - timedelta(milliseconds=1), midnight + timedelta(days=1)):
        async with db.transaction() as tx:
            await accept_once(tx, "probe", id_of(moment))
            where = await tx.fetchval("SELECT tableoid::regclass::text FROM inbox WHERE message_id = $1", id_of(moment))
        assert where == f"inbox_{moment:%Y%m%d}"


async def test_old_days_go_and_missing_ones_come_also_after_an_absence(db: Database, admin: Any) -> None:
    # given a service that was last here 5 days ago, and an even older day
    for offset in range(-1, DAYS_AHEAD + 1):
        await admin.execute(f"DROP TABLE inbox_{day(offset):%Y%m%d}")
    for offset in (-DAYS_KEPT - 1, -DAYS_KEPT, -5):
        await admin.execute(
            f"SET ROLE probe_owner; CREATE TABLE inbox_{day(offset):%Y%m%d} PARTITION OF inbox"
            f" FOR VALUES FROM (inbox_day_floor('{day(offset)}')) TO (inbox_day_floor('{day(offset + 1)}')); RESET ROLE"
        )
    await keep_inbox(db)
    assert await days_of(admin) == [day(-DAYS_KEPT), day(-5), *(day(offset) for offset in range(-4, DAYS_AHEAD + 1))]
    assert await handle(db, id_of(datetime.now(UTC) - timedelta(days=3)))


async def test_many_may_look_after_the_days_at_once(db: Database, admin: Any) -> None:
    await admin.execute(f"DROP TABLE inbox_{day(DAYS_AHEAD):%Y%m%d}, inbox_{day(DAYS_AHEAD - 1):%Y%m%d}")
    await asyncio.gather(*(keep_inbox(db) for _ in range(6)))
    assert await days_of(admin) == [day(offset) for offset in range(-1, DAYS_AHEAD + 1)]


async def test_other_tables_are_in_nobodys_way_whatever_the_plan(admin: Any) -> None:
    # given a plan that reads all of pg_class before it knows which tables are the inbox's, as after an ANALYZE of a catalogue
    for plan in ("nestloop", "mergejoin"):
        await admin.execute(f"SET enable_{plan} = off")
    before = await days_of(admin)
    await admin.execute("SELECT probe.inbox_keep_partitions()")
    assert await days_of(admin) == before
