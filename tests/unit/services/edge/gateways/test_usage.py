"""Usage records: batched per shard, confirmed or refused as one, repeated byte for byte while unknown, voided at the fence."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest

from libs.common.contracts.edge import Usage, UsageRecorded, UsageVoided
from libs.common.contracts.wire import Outgoing, shard_of
from libs.common.errors import Refused, Unconfirmed
from libs.common.ids import uuid7
from services.edge.gateways import usage as usage_module
from services.edge.gateways.usage import UsageGateway
from tests.support.edge import ManualClock

ORG = uuid7()
FENCE_MS = 40_000


class Broker:
    """A publisher whose answers are given by hand: `answers` first, then confirms; `gate` holds them back; while it
    `is_silent` nothing is ever confirmed.
    """

    def __init__(self) -> None:
        self.answers: list[BaseException | None] = []
        self.messages: list[Outgoing] = []
        self.confirmed: list[Outgoing] = []
        self.is_silent = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        self.messages.append(message)
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        if self.is_silent:
            raise Unconfirmed
        self.confirmed.append(message)

    def recorded(self) -> list[list[UUID]]:
        return [
            [one.id for one in msgspec.json.decode(message.body, type=UsageRecorded).records]
            for message in self.messages
            if message.type == "edge.usage.recorded.v1"
        ]

    def voided(self) -> list[UUID]:
        return [
            one
            for message in self.confirmed
            if message.type == "edge.usage.voided.v1"
            for one in msgspec.json.decode(message.body, type=UsageVoided).ids
        ]


class World:
    def __init__(self) -> None:
        self.broker, self.clock = Broker(), ManualClock()
        self.gateway = UsageGateway(self.broker, self.clock)

    def record(self, org_id: UUID = ORG, fence_in_ms: int = FENCE_MS) -> "asyncio.Task[None]":
        usage = Usage(
            id=uuid7(), org_id=org_id, lease_id=uuid7(), cost=1, key_id=uuid7(), model_id=uuid7(), route="chats_list"
        )
        fence = self.clock.stopwatch_ms() + fence_in_ms
        return asyncio.create_task(self.gateway.record(usage, fence_at_ms=fence))


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(usage_module, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(usage_module, "VOID_PAUSE_SECONDS", (0, 0))
    made = World()
    voids = asyncio.create_task(made.gateway.run())
    yield made
    voids.cancel()
    await asyncio.gather(voids, return_exceptions=True)


async def settled(tasks: "list[asyncio.Task[None]]") -> list[BaseException | None]:
    async with asyncio.timeout(5):
        return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_the_records_of_one_tick_are_one_message(world: World) -> None:
    tasks = [world.record() for _ in range(10)]
    assert await settled(tasks) == [None] * 10
    assert [len(ids) for ids in world.broker.recorded()] == [10]


async def test_while_one_is_unconfirmed_the_next_is_collected_up_to_its_limit(world: World) -> None:
    world.broker.gate.clear()
    first = [world.record()]
    await asyncio.sleep(0.01)
    later = [world.record() for _ in range(300)]
    await asyncio.sleep(0.01)
    assert [len(ids) for ids in world.broker.recorded()] == [1]
    world.broker.gate.set()
    await settled(first + later)
    assert [len(ids) for ids in world.broker.recorded()] == [1, 256, 44]


async def test_shards_do_not_mix_or_wait_for_each_other(world: World) -> None:
    orgs = [uuid7() for _ in range(40)]
    await settled([world.record(org_id) for org_id in orgs])
    assert len(world.broker.messages) == len({shard_of(org_id) for org_id in orgs})
    assert len({message.routing_key for message in world.broker.messages}) == len(world.broker.messages)


async def test_a_refusal_is_told_to_all_and_voids_nothing(world: World) -> None:
    world.broker.answers = [Refused()]
    assert [type(one) for one in await settled([world.record() for _ in range(3)])] == [Refused] * 3
    assert len(world.broker.messages) == 1
    assert world.broker.voided() == []


async def test_unknown_is_published_again_with_the_same_bytes_until_confirmed(world: World) -> None:
    world.broker.answers = [Unconfirmed(), Refused(), RuntimeError("odd"), None]
    assert await settled([world.record()]) == [None]
    assert len(world.broker.messages) == 4
    assert len({(message.message_id, message.body) for message in world.broker.messages}) == 1
    assert world.broker.voided() == []


async def test_past_the_fence_it_is_unconfirmed_and_voided(world: World) -> None:
    world.broker.is_silent = True
    task = world.record(fence_in_ms=30)
    (error,) = await settled([task])
    assert isinstance(error, Unconfirmed)
    world.broker.is_silent = False
    await until(lambda: len(world.broker.voided()) == 1)
    assert world.broker.voided() == world.broker.recorded()[0]
    sent = len(world.broker.messages)
    await asyncio.sleep(0.02)
    assert len(world.broker.messages) == sent, "nobody waits for it any more: it is not published for ever"


async def test_a_confirm_after_the_fence_is_no_confirm(world: World) -> None:
    world.broker.gate.clear()
    task = world.record()
    await asyncio.sleep(0.01)
    world.clock.advance(FENCE_MS)  # the machine slept: the timer has not rung yet
    world.broker.gate.set()
    (error,) = await settled([task])
    assert isinstance(error, Unconfirmed)
    await until(lambda: len(world.broker.voided()) == 1)


async def test_one_of_a_batch_may_pass_its_fence_while_the_others_are_confirmed(world: World) -> None:
    world.broker.gate.clear()
    tasks = [world.record(fence_in_ms=20), world.record()]
    await until(tasks[0].done)
    world.broker.gate.set()
    first, second = await settled(tasks)
    assert isinstance(first, Unconfirmed)
    assert second is None
    await until(lambda: len(world.broker.voided()) == 1)


async def test_more_debits_than_a_message_names_are_undone_in_several_and_a_silent_broker_is_told_of(
    world: World,
) -> None:
    ids = [uuid7() for _ in range(600)]
    await world.gateway.void(ORG, ids)
    assert world.broker.voided() == ids
    assert len(world.broker.messages) == 3
    world.broker.is_silent = True
    with pytest.raises(Unconfirmed):
        await world.gateway.void(ORG, ids[:1])


async def test_a_cancelled_record_is_voided(world: World) -> None:
    world.broker.gate.clear()
    task = world.record()
    await asyncio.sleep(0.01)
    task.cancel()
    await settled([task])
    world.broker.gate.set()
    await until(lambda: len(world.broker.voided()) == 1)


async def test_voids_wait_for_the_bus(world: World) -> None:
    world.broker.is_silent = True
    (error,) = await settled([world.record(fence_in_ms=5)])
    assert isinstance(error, Unconfirmed)
    await asyncio.sleep(0.02)
    assert world.broker.voided() == []
    world.broker.is_silent = False
    await until(lambda: len(world.broker.voided()) == 1)


async def test_voids_are_bounded_and_the_lost_ones_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "VOIDS_MAX", 2)
    lost = usage_module.VOIDS_LOST._value.get()
    world.broker.is_silent = True
    await settled([world.record(fence_in_ms=5) for _ in range(5)])
    assert usage_module.VOIDS_LOST._value.get() == lost + 3


async def test_too_many_waiting_records_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "WAITING_MAX", 3)
    world.broker.gate.clear()
    first = world.record()
    await asyncio.sleep(0.01)
    tasks = [world.record() for _ in range(4)]
    await asyncio.sleep(0.01)
    world.broker.gate.set()
    outcomes = await settled([first, *tasks])
    assert [type(one).__name__ for one in outcomes] == ["NoneType"] * 4 + ["Refused"]


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
