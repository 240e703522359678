"""Processing that meets a defect of ours, at every stage before a notice leaves: what it meets gives its credits back by itself, once;
what it does not meet goes on.
"""

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.contracts.takedowns import BatchRefunded
from services.takedowns.domain.mail_token import Kind, MailTokens
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, World, a_world

START = 100_000


class Poison(ZeroDivisionError):
    """What nobody foresaw."""


class BreakingTokens(MailTokens):
    """No mail can be written until `is_mended`."""

    is_mended = False

    def local_part(self, kind: Kind, notice_id: uuid.UUID) -> str:
        if not self.is_mended:
            raise Poison
        return super().local_part(kind, notice_id)


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        yield one


def break_sending(world: World) -> BreakingTokens:
    """Defects from here on, when a notice is about to leave."""
    tokens = BreakingTokens([b"k" * 32])
    send = world.do.send_notice
    broken = dataclasses.replace(send, sending=msgspec.structs.replace(send.sending, tokens=tokens))
    world.do = dataclasses.replace(world.do, send_notice=broken)
    return tokens


async def refunds(world: World) -> int:
    """Credits that went back, everything carried."""
    await world.takedowns.on.refunds.send(older_s=0, limit=100)
    world.said += await world.takedowns.carry()
    return sum(said.amount for said in world.said if isinstance(said, BatchRefunded))


async def a_planned_notice(world: World, creator: uuid.UUID) -> uuid.UUID:
    (notice,) = await world.notices()
    assert (notice["status"], await world.states(creator)) == ("planned", [("ready", 0), ("ready", 0)])
    id_: uuid.UUID = notice["id"]
    return id_


async def test_R107_a_notice_that_cannot_be_written_gives_its_credits_back_once(world: World) -> None:
    # given a notice that is tried, and tried again
    await world.entry()
    break_sending(world)
    creator = await world.begin("/a", "/b")
    notice_id = await a_planned_notice(world, creator)
    assert await refunds(world) == 0
    await world.turn(minutes=6)
    assert await world.takedowns.balance() == START - 2

    # when the third try fails, in four workers at once
    world.clock.advance(minutes=6)
    await asyncio.gather(*(world.do.send_notice(notice_id) for _ in range(4)))

    # then the credits return, once, and the notice is closed
    assert await world.states(creator) == [("failed_refunded", 0)] * 2
    for _ in range(3):
        await world.turn(minutes=6)
        assert await refunds(world) == 2
    assert await world.takedowns.balance() == START
    assert [notice["status"] for notice in await world.notices()] == ["closed"]
    assert world.sink.connections == 0


async def test_a_defect_that_is_mended_in_time_costs_no_notice(world: World) -> None:
    await world.entry()
    tokens = break_sending(world)
    creator = await world.begin("/a", "/b")
    await a_planned_notice(world, creator)
    tokens.is_mended = True
    await world.turn(minutes=6)
    assert await world.states(creator) == [("noticed", 0)] * 2
    assert len(world.sink.mails) == 1
    assert await refunds(world) == 0


async def test_what_was_noticed_before_is_not_refunded_when_a_later_stage_is_poisoned(world: World) -> None:
    await world.entry()
    creator = await world.begin("/a")
    assert await world.states(creator) == [("noticed", 0)]
    break_sending(world)
    await world.takedowns.db.execute("UPDATE urls SET state = 3, next_action_at = $1", world.clock.now())
    for _ in range(6):
        await world.turn(minutes=20)
    assert await refunds(world) == 0
    assert await world.states(creator) == [("ready", 0)]


async def test_a_host_that_cannot_be_resolved_gives_the_credits_back_after_a_day(world: World) -> None:
    class Broken:
        async def registrar(self, domain: str) -> Any:
            raise Poison

        async def holder(self, address: Any) -> Any:
            raise Poison

    registries: Any = Broken()
    world.do = dataclasses.replace(
        world.do, resolve_host=dataclasses.replace(world.do.resolve_host, registries=registries)
    )
    creator = await world.submit("/a", "/b")
    for _ in range(12):
        await world.turn(minutes=20)
    assert await world.states(creator) == [("resolving", 0)] * 2
    assert await refunds(world) == 0
    await world.turn(hours=23)
    await world.turn(minutes=6)
    assert await world.states(creator) == [("failed_refunded", 0)] * 2
    assert await refunds(world) == 2
    # and when it is mended, they are new again and go on
    world.do = dataclasses.replace(
        world.do, resolve_host=dataclasses.replace(world.do.resolve_host, registries=world.registries)
    )
    await world.entry()
    await world.submit("/a", "/b", creator=creator)
    for _ in range(4):
        await world.turn(hours=6)
    assert await world.states(creator) == [("noticed", 0)] * 2


async def test_rows_that_make_no_sense_stop_none_of_the_others(world: World) -> None:
    # given URLs of three hosts, of which one is in no table
    await world.entry()
    good, bad = await world.takedowns.creator(), await world.takedowns.creator()
    await world.submit("/a", creator=bad, host=f"two.{HOST}")
    await world.takedowns.db.execute("UPDATE urls SET host_id = 2147483000")
    await world.submit("/a", creator=good)
    await world.submit("/b", creator=good, host=f"three.{HOST}")
    await world.takedowns.db.execute(
        "DELETE FROM outbox WHERE type = 'takedowns.batch.accepted.v1'"
    )  # the nudge is lost

    # when they are started by the clock
    await world.turn(minutes=11)
    for minutes in (6, 6, 6, 6):
        await world.turn(minutes=minutes)

    # then the others are noticed, and those are refunded
    assert await world.states(good) == [("noticed", 0)] * 2
    assert await world.states(bad) == [("failed_refunded", 0)]
    for _ in range(2):
        assert await refunds(world) == 1
        await world.turn(minutes=6)
    assert await world.takedowns.balance() == START - 2
