"""Due rows are claimed by one process at a time, and come back when their holder is gone."""

import asyncio
from typing import Any

import pytest

from libs.common.db.pool import Database
from libs.common.db.timers import claim_due
from libs.common.ids import uuid7


async def plant(admin: Any, count: int, due: str = "now() - interval '1 second'") -> None:
    await admin.executemany(
        f"INSERT INTO things (id, amount, due_at) VALUES ($1, $2, {due})", [(uuid7(), n + 1) for n in range(count)]
    )


async def claim(db: Database, **options: Any) -> set[int]:
    async with db.transaction() as tx:
        return {row["amount"] for row in await claim_due(tx, "things", **options)}


async def test_what_is_due_is_claimed_once_and_what_is_not_is_left(db: Database, admin: Any) -> None:
    await plant(admin, 3)
    await plant(admin, 2, "now() + interval '1 hour'")
    await plant(admin, 2, "NULL")
    assert await claim(db) == {1, 2, 3}
    assert await claim(db) == set()


async def test_processes_side_by_side_claim_different_rows(db: Database, admin: Any) -> None:
    await plant(admin, 60)
    claims = await asyncio.gather(*(claim(db, limit=10) for _ in range(6)))
    assert sum(map(len, claims)) == len(set().union(*claims)) == 60


async def test_the_oldest_come_first(db: Database, admin: Any) -> None:
    for amount in (1, 2, 3):
        await admin.execute(
            "INSERT INTO things (id, amount, due_at) VALUES ($1, $2, now() - make_interval(hours => $2))",
            uuid7(),
            amount,
        )
    assert await claim(db, limit=2) == {2, 3}


async def test_a_row_whose_holder_died_is_due_again_later(db: Database, admin: Any) -> None:
    await plant(admin, 1)
    assert await claim(db, claim_s=1) == {1}
    assert await claim(db) == set()
    await admin.execute("UPDATE things SET claimed_until = now() - interval '1 second'")
    assert await claim(db) == {1}


async def test_a_claim_is_undone_with_its_transaction(db: Database, admin: Any) -> None:
    await plant(admin, 1)
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            assert await claim_due(tx, "things")
            raise ZeroDivisionError
    assert await claim(db) == {1}


async def test_a_condition_narrows_the_claim(db: Database, admin: Any) -> None:
    await plant(admin, 4)
    assert await claim(db, where="amount > 2") == {3, 4}


async def test_a_table_name_is_a_word(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(ValueError, match="not a table name"):
            await claim_due(tx, "things; DROP TABLE things")
