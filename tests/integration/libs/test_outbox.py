"""Outbox and relay: what was committed reaches the bus, what was not does not, whoever dies in between."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.common.contracts.billing import BalanceChanged, CreditsLow
from libs.common.contracts.takedowns import BatchDebited
from libs.common.contracts.wire import Outgoing, encode
from libs.common.db import relay as relay_module
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import OUTBOX_OLDEST, OUTBOX_PENDING, Relay
from libs.common.db.tx import accept_once
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from libs.common.telemetry.trace import current_traceparent

ORG = uuid.UUID(int=1)
PATIENCE = 20.0  # seconds; far beyond what any of this takes


class Bus:
    """A publisher that notes what it takes; `behave` may wait or raise first."""

    def __init__(self, behave: Callable[[Outgoing], Any] | None = None) -> None:
        self.taken: list[Outgoing] = []
        self.behave = behave

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        assert timeout_s == relay_module.CONFIRM_SECONDS
        if self.behave is not None:
            await self.behave(message)
        self.taken.append(message)

    @property
    def ids(self) -> list[uuid.UUID]:
        return [message.message_id for message in self.taken]


def changed(version: int) -> BalanceChanged:
    return BalanceChanged(org_id=ORG, balance=1, version=version)


async def write(db: Database, outbox: Outbox, count: int = 1) -> list[uuid.UUID]:
    async with db.transaction() as tx:
        return [await outbox.add(tx, changed(version), org_id=ORG) for version in range(count)]


async def pending(db: Database) -> int:
    return int(await db.fetchval("SELECT count(*) FROM outbox"))


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.01)


async def until_empty(db: Database) -> None:
    async def is_empty() -> bool:
        return await pending(db) == 0

    await until(is_empty)


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_message_arrives_as_it_was_written(db: Database) -> None:
    bus, outbox, cause = Bus(), Outbox(), uuid7()
    trace = current_traceparent.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    async with db.transaction() as tx:
        body = BatchDebited(org_id=ORG, batch_id=cause, amount=3, memo="é\u2028")
        message_id = await outbox.add(tx, body, org_id=ORG, cause=cause)
    assert await Relay(db, bus, outbox).flush() == 1
    expected = encode(body, org_id=ORG, message_id=message_id, cause=cause, traceparent=current_traceparent.get())
    assert bus.taken == [expected]
    assert await pending(db) == 0
    current_traceparent.reset(trace)


async def test_what_was_undone_is_never_published(db: Database) -> None:
    bus, outbox = Bus(), Outbox()
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await outbox.add(tx, changed(1), org_id=ORG)
            raise ZeroDivisionError
    assert not outbox.wake.is_set()
    assert await Relay(db, bus, outbox).flush() == 0
    assert bus.taken == []


async def test_a_commit_wakes_the_relay(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 3600.0)  # only the wake-up can do it
    bus, outbox = Bus(), Outbox()
    async with running(Relay(db, bus, outbox)):
        await asyncio.sleep(0.2)  # it found nothing and waits
        written = await write(db, outbox, 3)
        await until(lambda: len(bus.taken) == 3)
        assert bus.ids == written


async def test_what_another_process_left_behind_is_found(db: Database) -> None:
    bus = Bus()
    await write(db, Outbox(), 2)
    async with running(Relay(db, bus, Outbox())):
        await until(lambda: len(bus.taken) == 2)
        await write(db, Outbox(), 2)  # an outbox that nobody here listens to
        await until(lambda: len(bus.taken) == 4)


async def test_two_relays_share_the_work_and_publish_everything_once(db: Database) -> None:
    async def slowly(_message: Outgoing) -> None:
        await asyncio.sleep(0.01)

    first, second, outbox = Bus(slowly), Bus(slowly), Outbox()
    written = [message for _ in range(6) for message in await write(db, outbox, 200)]
    async with running(Relay(db, first, outbox), Relay(db, second, Outbox())):
        await until_empty(db)
    assert Counter(first.ids + second.ids) == Counter(written)
    assert first.taken
    assert second.taken


async def test_what_the_bus_does_not_take_stays_and_stops_nobody_else(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 0.02)
    outbox = Outbox()
    written = await write(db, outbox, 4)
    trouble: dict[uuid.UUID, Exception] = dict(
        zip(written, (Refused(detail="full"), Unconfirmed(), ValueError("ours")), strict=False)
    )

    async def refuse(message: Outgoing) -> None:
        if message.message_id in trouble:
            raise trouble[message.message_id]

    bus = Bus(refuse)
    assert await Relay(db, bus, outbox).flush() == 1
    assert (bus.ids, await pending(db)) == ([written[3]], 3)
    async with running(Relay(db, bus, outbox)):
        trouble.clear()
        await until_empty(db)
    assert bus.ids == [written[3], *written[:3]]


async def test_an_outage_of_the_bus_is_waited_out(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 0.01)
    attempts = 0

    async def away(_message: Outgoing) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= 5:
            raise Refused(detail="not connected")

    bus, outbox = Bus(away), Outbox()
    await write(db, outbox)
    async with running(Relay(db, bus, outbox)):
        await until(lambda: len(bus.taken) == 1)
    assert attempts == 6


async def test_a_crash_between_confirm_and_delete_only_repeats_the_message(db: Database, admin: Any) -> None:
    # given a relay whose connection dies when the broker has taken everything, and nothing is deleted yet
    async def die_after(_message: Outgoing) -> None:
        await admin.execute(
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE application_name = 'probe' AND state = 'idle in transaction'"""
        )

    bus, outbox = Bus(die_after), Outbox()
    (written,) = await write(db, outbox)
    with pytest.raises(Exception, match="UNAVAILABLE"):
        await Relay(db, bus, outbox).flush()
    assert (bus.ids, await pending(db)) == ([written], 1)

    # when the next relay comes
    bus.behave = None
    assert await Relay(db, bus, outbox).flush() == 1

    # then the message went out twice, the same one, and has one effect
    assert bus.ids == [written, written]
    effects = []
    for message_id in bus.ids:
        async with db.transaction() as tx:
            effects.append(await accept_once(tx, "consumer", message_id))
    assert effects == [True, False]


async def test_a_relay_killed_while_it_publishes_loses_nothing(db: Database) -> None:
    reached = asyncio.Event()

    async def hang(_message: Outgoing) -> None:
        reached.set()
        await asyncio.Event().wait()

    outbox = Outbox()
    written = await write(db, outbox, 3)
    async with running(Relay(db, Bus(hang), outbox)):
        await asyncio.wait_for(reached.wait(), PATIENCE)
    bus = Bus()
    assert await Relay(db, bus, outbox).flush() == 3
    assert bus.ids == written


async def test_a_relay_survives_the_loss_of_its_database(
    db: Database, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 0.02)
    bus, outbox = Bus(), Outbox()
    async with running(Relay(db, bus, outbox)):
        for round_ in range(5):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'probe'"
            )
            await asyncio.sleep(0.05)
            await write(db, outbox)
            await until(lambda expected=round_ + 1: len(set(bus.ids)) == expected)  # type: ignore[misc]


async def test_a_flush_waits_for_whoever_is_at_it(db: Database) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def wait(_message: Outgoing) -> None:
        reached.set()
        await go.wait()

    slow, outbox = Bus(wait), Outbox()
    await write(db, outbox, 2)
    async with running(Relay(db, slow, outbox)):
        await asyncio.wait_for(reached.wait(), PATIENCE)
        flushing = asyncio.create_task(Relay(db, Bus(), Outbox()).flush())
        await asyncio.sleep(0.2)
        assert not flushing.done()
        go.set()
        assert await asyncio.wait_for(flushing, PATIENCE) == 0
        assert len(slow.taken) == 2


async def test_a_flush_takes_a_backlog_of_many_batches_and_ends_when_nothing_is_taken(db: Database) -> None:
    async def refuse(_message: Outgoing) -> None:
        raise Refused(detail="full")

    bus, outbox = Bus(), Outbox()
    await write(db, outbox, 450)
    assert await Relay(db, Bus(refuse), outbox).flush() == 0
    assert await Relay(db, bus, outbox).flush() == 450
    assert len(set(bus.ids)) == 450


async def test_the_gauges_show_what_waits(db: Database, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MEASURE_SECONDS", 0.0)
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 0.01)

    async def refuse(_message: Outgoing) -> None:
        raise Refused(detail="full")

    bus, outbox = Bus(refuse), Outbox()
    await write(db, outbox, 3)
    await admin.execute("UPDATE outbox SET created_at = now() - interval '1 minute'")
    async with running(Relay(db, bus, outbox)):
        await until(lambda: OUTBOX_PENDING._value.get() == 3 and 60 <= OUTBOX_OLDEST._value.get() < 120)
        bus.behave = None
        await until(lambda: OUTBOX_PENDING._value.get() == 0 == OUTBOX_OLDEST._value.get())


async def test_the_relay_looks_after_the_inbox(db: Database, admin: Any) -> None:
    await admin.execute("DO $$ DECLARE t text; BEGIN FOR t IN SELECT inhrelid::regclass FROM pg_inherits"
                        " WHERE inhparent = 'inbox'::regclass LOOP EXECUTE 'DROP TABLE ' || t; END LOOP; END $$")  # fmt: skip

    async def has_days() -> bool:
        return bool(await db.fetchval("SELECT count(*) > 0 FROM pg_inherits WHERE inhparent = 'inbox'::regclass"))

    assert not await has_days()
    async with running(Relay(db, Bus(), Outbox())):
        await until(has_days)


async def test_messages_of_different_kinds_go_to_their_exchanges(db: Database) -> None:
    bus, outbox = Bus(), Outbox()
    async with db.transaction() as tx:
        await outbox.add(tx, CreditsLow(org_id=ORG, balance=1, threshold_percent=10), org_id=ORG)
        await outbox.add(tx, BatchDebited(org_id=ORG, batch_id=ORG, amount=0), org_id=ORG)
    await Relay(db, bus, outbox).flush()
    assert [message.exchange for message in bus.taken] == ["events", "events"]
    assert bus.taken[1].routing_key.startswith("takedowns.batch.debited.v1.s")
