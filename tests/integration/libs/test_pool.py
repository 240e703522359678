"""The pool on a real server: types, transactions, and what each way of losing the server looks like."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.common.db import pool
from libs.common.db.errors import (
    CheckViolation,
    CommitUnknown,
    Conflict,
    DatabaseAway,
    DatabaseError,
    Deadlock,
    ForeignKeyViolation,
    LockTimeout,
    NotPrimary,
    UniqueViolation,
)
from libs.common.db.pool import Database
from libs.common.ids import uuid7

INSERT = "INSERT INTO things (id, amount, facts, at) VALUES ($1, $2, $3, $4)"


async def lose_connections(admin: Any) -> int:
    """Have the server end every connection of the service, as a restart does."""
    count = await admin.fetchval(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'probe'"
    )
    return int(count)


async def test_values_keep_their_types_on_the_way_in_and_out(db: Database) -> None:
    thing, at = uuid7(), datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    facts = {"a": [1, 2.5, None, True, "é\\u"], "b": {"c": []}}
    assert await db.execute(INSERT, thing, 3, facts, at) == "INSERT 0 1"
    row = await db.fetchrow("SELECT * FROM things WHERE id = $1", thing)
    assert row is not None
    assert (row["id"], row["amount"], row["facts"], row["at"]) == (thing, 3, facts, at)
    assert row["at"].utcoffset() == timedelta(0)
    assert row.get("nothing", 7) == 7
    assert list(row.keys())[:2] == ["id", "amount"]


async def test_the_text_of_an_object_is_not_taken_for_the_object(db: Database) -> None:
    with pytest.raises(DatabaseError):
        await db.execute(INSERT, uuid7(), 1, '{"a": 1}', None)


async def test_the_verbs_answer_nothing_where_there_is_nothing(db: Database) -> None:
    assert await db.fetch("SELECT * FROM things") == []
    assert await db.fetchrow("SELECT * FROM things") is None
    assert await db.fetchval("SELECT id FROM things") is None


async def test_a_transaction_stands_whole_or_not_at_all(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.executemany(INSERT, [(uuid7(), n, None, None) for n in (1, 2, 3)])
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.execute("UPDATE things SET amount = 9")
            raise ZeroDivisionError
    with pytest.raises(CheckViolation):
        async with db.transaction() as tx:
            await tx.execute("UPDATE things SET amount = 9")
            await tx.execute("UPDATE things SET amount = 0")
    assert sorted(row["amount"] for row in await db.fetch("SELECT amount FROM things")) == [1, 2, 3]


async def test_what_hangs_on_the_commit_runs_after_it_and_only_then(db: Database) -> None:
    seen: list[str] = []
    async with db.transaction() as tx:
        tx.after_commit(lambda: seen.append("first"))
        tx.after_commit(lambda: seen.append("second"))
        assert seen == []
    assert seen == ["first", "second"]
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            tx.after_commit(lambda: seen.append("never"))
            raise ZeroDivisionError
    assert seen == ["first", "second"]


async def test_isolation_is_chosen_by_name(db: Database) -> None:
    async with db.transaction(isolation="serializable") as tx:
        assert await tx.fetchval("SHOW transaction_isolation") == "serializable"
    async with db.transaction() as tx:
        assert await tx.fetchval("SHOW transaction_isolation") == "read committed"


async def test_a_serialization_failure_is_a_conflict(db: Database) -> None:
    await db.execute(INSERT, uuid7(), 1, None, None)
    with pytest.raises(Conflict):
        async with db.transaction(isolation="repeatable_read") as tx:
            await tx.fetch("SELECT * FROM things")
            await db.execute("UPDATE things SET amount = amount + 1")
            await tx.execute("UPDATE things SET amount = amount + 1")


async def test_of_two_that_wait_for_each_other_one_is_undone(db: Database) -> None:
    one, other = uuid7(), uuid7()
    for thing in (one, other):
        await db.execute(INSERT, thing, 1, None, None)
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: uuid.UUID, second: uuid.UUID) -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE things SET amount = 2 WHERE id = $1", first)
            await both_hold_one.wait()
            await tx.execute("UPDATE things SET amount = 3 WHERE id = $1", second)

    results = await asyncio.gather(lock(one, other), lock(other, one), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Deadlock", "NoneType"]
    assert any(isinstance(result, Deadlock) for result in results)


async def test_a_lock_that_takes_too_long_is_a_lock_timeout(db: Database) -> None:
    thing = uuid7()
    await db.execute(INSERT, thing, 1, None, None)
    async with db.transaction() as holder:
        await holder.execute("UPDATE things SET amount = 2 WHERE id = $1", thing)
        with pytest.raises(LockTimeout):
            async with db.transaction() as tx:
                await tx.execute("SET LOCAL lock_timeout = '50ms'")
                await tx.execute("UPDATE things SET amount = 3 WHERE id = $1", thing)


async def test_a_transaction_that_falls_silent_gives_its_locks_back(probe_dsn: str, db: Database) -> None:
    thing = uuid7()
    await db.execute(INSERT, thing, 1, None, None)
    silent = await Database.connect(probe_dsn, schema="probe", name="silent", idle_in_transaction_s=1)
    try:
        with pytest.raises(DatabaseAway):
            async with silent.transaction() as tx:
                await tx.execute("UPDATE things SET amount = 2 WHERE id = $1", thing)
                await db.execute("UPDATE things SET amount = amount + 2 WHERE id = $1", thing)  # waits for the lock
                await tx.execute("UPDATE things SET amount = 9 WHERE id = $1", thing)
        assert await silent.fetchval("SELECT amount FROM things WHERE id = $1", thing) == 3
    finally:
        await silent.close()


async def test_a_duplicate_names_its_constraint(db: Database) -> None:
    thing = uuid7()
    await db.execute(INSERT, thing, 1, None, None)
    with pytest.raises(UniqueViolation) as refusal:
        await db.execute(INSERT, thing, 1, None, None)
    assert (refusal.value.constraint, refusal.value.table) == ("things_pkey", "things")


async def test_the_server_knows_who_is_connected_and_where_names_lead(db: Database) -> None:
    row = await db.fetchrow(
        "SELECT current_setting('application_name') AS name, current_schema() AS schema, current_user AS who"
    )
    assert row is not None
    assert (row["name"], row["schema"], row["who"]) == ("probe", "probe", "probe_app")


async def test_a_server_that_goes_away_is_noticed_and_found_again(db: Database, admin: Any) -> None:
    await db.ping()
    with pytest.raises(DatabaseAway):
        async with db.transaction() as tx:
            await tx.execute(INSERT, uuid7(), 1, None, None)
            assert await lose_connections(admin) >= 1
            await tx.execute(INSERT, uuid7(), 1, None, None)
    assert await db.fetchval("SELECT count(*) FROM things") == 0
    assert await lose_connections(admin) >= 1  # idle connections: replaced without an error
    await db.ping()


async def test_after_a_failover_no_connection_to_the_old_primary_is_kept(db: Database, admin: Any) -> None:
    # given connections on which the server refuses to write, as a demoted primary does
    await admin.execute("ALTER ROLE probe_app SET default_transaction_read_only = on")
    await lose_connections(admin)
    try:
        with pytest.raises(NotPrimary):
            await db.execute(INSERT, uuid7(), 1, None, None)
        with pytest.raises(NotPrimary):
            async with db.transaction() as tx:
                await tx.execute(INSERT, uuid7(), 1, None, None)
    finally:
        await admin.execute("ALTER ROLE probe_app RESET default_transaction_read_only")
    # when there is a primary again, the next connection is a new one
    await db.execute(INSERT, uuid7(), 1, None, None)


async def test_a_connection_lost_before_the_commit_is_certainly_undone(db: Database, admin: Any) -> None:
    with pytest.raises(DatabaseAway) as refusal:
        async with db.transaction() as tx:
            await tx.execute(INSERT, uuid7(), 1, None, None)
            await lose_connections(admin)
            await asyncio.sleep(0.1)  # for the end of the connection to arrive
    assert not isinstance(refusal.value, CommitUnknown)
    assert await db.fetchval("SELECT count(*) FROM things") == 0


async def test_a_connection_lost_during_commit_leaves_the_outcome_unknown(db: Database, admin: Any) -> None:
    await admin.execute(
        """CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
           CREATE CONSTRAINT TRIGGER die AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION die()"""
    )
    called: list[str] = []
    with pytest.raises(CommitUnknown):
        async with db.transaction() as tx:
            tx.after_commit(lambda: called.append("committed"))
            await tx.execute(INSERT, uuid7(), 1, None, None)
    assert called == []
    await db.ping()


async def test_a_deferred_rule_that_refuses_at_commit_is_definite(db: Database, admin: Any) -> None:
    await admin.execute(
        "ALTER TABLE things ADD parent uuid REFERENCES things DEFERRABLE INITIALLY DEFERRED; GRANT INSERT (parent) ON things TO probe_app"
    )
    with pytest.raises(ForeignKeyViolation):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO things (id, amount, parent) VALUES ($1, 1, $2)", uuid7(), uuid7())
    assert await db.fetchval("SELECT count(*) FROM things") == 0


async def test_a_cancelled_statement_gives_its_connection_back(db: Database) -> None:
    for _ in range(10):  # more often than there are connections
        task = asyncio.create_task(db.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.gather(*(db.ping() for _ in range(6)))


async def test_a_cancelled_transaction_is_undone(db: Database) -> None:
    async def endless() -> None:
        async with db.transaction() as tx:
            await tx.execute(INSERT, uuid7(), 1, None, None)
            await asyncio.sleep(30)

    task = asyncio.create_task(endless())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await db.fetchval("SELECT count(*) FROM things") == 0


async def test_a_transaction_that_is_cut_off_at_its_begin_is_no_error_of_ours(db: Database) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def nothing() -> None:
        async with db.transaction():
            await asyncio.sleep(0)

    # when callers' patience ends at every step of a transaction's begin and end
    for steps in range(60):
        task = asyncio.create_task(nothing())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    # then the connections come back clean, and nobody hears of a defect
    await asyncio.gather(*(db.ping() for _ in range(6)))
    asyncio.get_running_loop().set_exception_handler(None)
    assert reported == []


async def test_more_callers_than_connections_wait_and_then_give_up(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(db.ping() for _ in range(60)))
    monkeypatch.setattr(pool, "ACQUIRE_SECONDS", 0.1)
    holders = [asyncio.create_task(db.execute("SELECT pg_sleep(30)")) for _ in range(6)]
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(db.ping())
    await asyncio.sleep(0.02)
    assert db.counts() == (6, 0, 1)
    with pytest.raises(DatabaseAway):
        await waiting
    for holder in holders:
        holder.cancel()
    await asyncio.gather(*holders, return_exceptions=True)


async def test_the_gauges_show_the_pool(db: Database) -> None:
    await asyncio.gather(*(db.execute("SELECT pg_sleep(0.05)") for _ in range(4)))
    assert REGISTRY.get_sample_value("fangate_pg_pool_size") == db.counts()[0] == 4
    assert REGISTRY.get_sample_value("fangate_pg_pool_idle") == 4


async def test_connecting_waits_for_a_database_that_is_still_being_made(
    admin_dsn: str, probe_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CONNECT_RETRY_SECONDS", 0.05)
    name = f"{admin_dsn.rpartition('/')[2]}_late"
    server = await asyncpg.connect(admin_dsn)
    connecting = asyncio.create_task(
        Database.connect(f"{probe_dsn.rpartition('/')[0]}/{name}", schema="probe", name="probe")
    )
    try:
        await asyncio.sleep(0.2)
        assert not connecting.done()
        await server.execute(f"CREATE DATABASE {name}")
        await (await connecting).close()
    finally:
        connecting.cancel()
        await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await server.close()


async def test_connecting_gives_up_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_WAIT_SECONDS", 0.1)
    with pytest.raises(DatabaseAway) as refusal:
        await Database.connect("postgresql://probe_app:hunter2@127.0.0.1:9/x", schema="probe", name="probe")
    assert "hunter2" not in str(refusal.value)


async def test_closing_ends_even_while_a_statement_runs(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ACQUIRE_SECONDS", 0.1)
    running = asyncio.create_task(db.execute("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.05)
    await db.close()
    with pytest.raises(DatabaseAway):
        await running
