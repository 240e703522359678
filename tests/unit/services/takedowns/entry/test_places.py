"""A queue in which some wait for the world: nobody behind them waits with them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from libs.common.bus import MemoryBroker, MemoryBus, jobs
from libs.common.contracts.takedowns import BatchAccepted, ResolveHost, SendNotice
from libs.common.contracts.wire import encode
from libs.common.ids import uuid7
from services.takedowns.entry import follow_up
from services.takedowns.entry.follow_up import follow_up_jobs
from services.takedowns.entry.places import HOSTS_AT_ONCE, NOTICES_AT_ONCE, WORKERS, Places
from services.takedowns.usecases.under_way import UnderWay

ORG = uuid.uuid4()


@dataclass
class World:
    """Registries and a relay that answer when they are told to."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[int | uuid.UUID] = field(default_factory=list)
    started: asyncio.Queue[uuid.UUID] = field(default_factory=asyncio.Queue)

    async def resolve_host(self, host_id: int) -> None:
        self.asked.append(host_id)
        await self.answers.wait()

    async def send_notice(self, notice_id: uuid.UUID) -> None:
        self.asked.append(notice_id)
        await self.answers.wait()

    async def start_urls(self, batch_id: uuid.UUID) -> None:
        self.started.put_nowait(batch_id)


@pytest.fixture
async def bus(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MemoryBus]:
    monkeypatch.setattr(follow_up, "NOTICES_PATIENCE_SECONDS", 0.01)
    bus = MemoryBus("takedowns", MemoryBroker())
    consumer = jobs("takedowns.jobs", prefetch=WORKERS, workers=WORKERS)
    await bus.start([follow_up_jobs(consumer, cast("UnderWay", world), Places(HOSTS_AT_ONCE, patience_s=0.01))])
    yield bus
    world.answers.set()
    await bus.close()


@pytest.fixture
def world() -> World:
    return World()


async def test_a_batch_is_started_behind_hosts_and_notices_that_wait_for_the_world(
    bus: MemoryBus, world: World
) -> None:
    # given far more of both than have places
    for n in range(5 * WORKERS):
        await bus.publisher.publish(encode(ResolveHost(host_id=n)))
        await bus.publisher.publish(encode(SendNotice(notice_id=uuid7())))
    # when a batch is accepted behind them all
    batch = uuid7()
    await bus.publisher.publish(encode(BatchAccepted(batch_id=batch, org_id=ORG, url_count=1, new=1), org_id=ORG))
    # then it is started, before anybody has answered
    assert await asyncio.wait_for(world.started.get(), 10.0) == batch
    assert len([one for one in world.asked if isinstance(one, int)]) == HOSTS_AT_ONCE
    assert len([one for one in world.asked if isinstance(one, uuid.UUID)]) == NOTICES_AT_ONCE


async def test_whoever_is_quick_makes_room_for_the_next(bus: MemoryBus, world: World) -> None:
    world.answers.set()
    for n in range(3 * WORKERS):
        await bus.publisher.publish(encode(ResolveHost(host_id=n)))
    await bus.settle()
    assert world.asked == list(range(3 * WORKERS))
