"""Batches: sizes, order, one ack for all, and what a bad or an unlucky one becomes."""

import asyncio
import uuid

from libs.common.bus import Bus, batch
from libs.common.bus.consumer import BatchHandler, Consumer
from libs.common.bus.metrics import BROKEN
from libs.common.bus.topology import ledger_queue
from libs.common.contracts import edge
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode, shard_of
from libs.common.errors import Permanent, Transient
from tests.support.bus import ORG, World, a_parcel, a_voided, all_is_settled, eventually

QUEUE = ledger_queue(shard_of(ORG) // 8)
Batches = list[list[uuid.UUID]]


def ledger(handler: BatchHandler, *, size: int = 500, wait_s: float = 0.02) -> Consumer:
    return batch(QUEUE, size=size, wait_s=wait_s).on(edge.UsageRecorded, edge.UsageVoided, handler)


async def publish(bus: Bus, count: int) -> list[uuid.UUID]:
    """`count` events of one organization, in order; returns their message ids."""
    sent = [encode(a_voided(), org_id=ORG) for _ in range(count)]
    for one in sent:
        await bus.publisher.publish(one)
    return [one.message_id for one in sent]


async def test_what_waits_comes_in_batches_of_the_size_and_in_order(world: World) -> None:
    batches: Batches = []

    async def handle(items: list[tuple[Message, Context]]) -> None:
        batches.append([context.message_id for _, context in items])

    sent = await publish(await world.bus("edge"), 25)
    billing = await world.bus("billing")
    await billing.start([ledger(handle, size=10, wait_s=0.2)])
    await eventually(lambda: sum(map(len, batches)) == 25)
    assert [len(ids) for ids in batches] == [10, 10, 5]
    assert [one for ids in batches for one in ids] == sent
    await all_is_settled(world, billing, QUEUE)


async def test_a_lonely_message_waits_no_longer_than_it_must(world: World) -> None:
    batches: Batches = []

    async def handle(items: list[tuple[Message, Context]]) -> None:
        batches.append([context.message_id for _, context in items])

    billing = await world.bus("billing")
    await billing.start([ledger(handle)])
    sent = await publish(await world.bus("edge"), 1)
    await eventually(lambda: batches == [sent], timeout_s=1.0)


async def test_an_unlucky_batch_is_tried_again_whole_and_in_place(world: World) -> None:
    batches: Batches = []

    async def handle(items: list[tuple[Message, Context]]) -> None:
        batches.append([context.message_id for _, context in items])
        if len(batches) < 4:
            raise Transient("the database is away")

    sent = await publish(await world.bus("edge"), 3)
    billing = await world.bus("billing")
    await billing.start([ledger(handle, size=3)])
    await eventually(lambda: len(batches) == 4)
    assert batches == [sent] * 4
    await eventually(lambda: _is_empty(world, QUEUE))
    assert await world.dead(QUEUE) == []


async def test_a_bad_message_is_found_and_put_aside_and_the_others_are_done(world: World) -> None:
    done: list[uuid.UUID] = []
    sent = await publish(await world.bus("edge"), 5)

    async def handle(items: list[tuple[Message, Context]]) -> None:
        ids = [context.message_id for _, context in items]
        if sent[2] in ids:
            raise Permanent("amount out of range")
        done.extend(ids)

    billing = await world.bus("billing")
    await billing.start([ledger(handle, size=5)])
    await eventually(lambda: len(done) == 4)
    assert done == sent[:2] + sent[3:]
    await all_is_settled(world, billing, QUEUE)
    [letter] = await world.dead(QUEUE)
    assert letter.message_id == str(sent[2])
    assert letter.headers["dead-reason"] == "permanent"


async def test_a_bug_in_the_handler_does_not_stop_the_queue_for_ever(world: World) -> None:
    done: list[uuid.UUID] = []
    broken_before = BROKEN._value.get()
    sent = await publish(await world.bus("edge"), 2)

    async def handle(items: list[tuple[Message, Context]]) -> None:
        ids = [context.message_id for _, context in items]
        if sent[0] in ids:
            raise KeyError("a bug")
        done.extend(ids)

    billing = await world.bus("billing")
    await billing.start([ledger(handle, size=2)])
    await eventually(lambda: done == sent[1:])
    await eventually(lambda: _is_empty(world, QUEUE))
    [letter] = await world.dead(QUEUE)
    assert letter.message_id == str(sent[0])
    assert BROKEN._value.get() > broken_before


async def test_a_forged_debit_is_put_aside_unseen(world: World) -> None:
    done: list[object] = []

    async def handle(items: list[tuple[Message, Context]]) -> None:
        done.extend(items)

    billing = await world.bus("billing")
    await billing.start([ledger(handle)])
    stranger = await world.bus("sessions")
    await stranger.publisher.send(a_parcel(a_voided(), exchange="", routing_key=QUEUE), timeout_s=5)
    sent = await publish(await world.bus("edge"), 1)
    await eventually(lambda: len(done) == len(sent))
    [letter] = await world.dead(QUEUE)
    assert letter.headers["dead-reason"] == "forged_sender"


async def test_of_two_consumers_of_the_money_one_works_and_the_other_takes_over(world: World) -> None:
    # given
    first: list[object] = []
    second: list[object] = []

    async def one(items: list[tuple[Message, Context]]) -> None:
        first.extend(items)

    async def two(items: list[tuple[Message, Context]]) -> None:
        second.extend(items)

    active, standby = await world.bus("billing"), await world.bus("billing")
    await active.start([ledger(one)])
    await standby.start([ledger(two)])
    edge_bus = await world.bus("edge")
    await publish(edge_bus, 10)
    await eventually(lambda: len(first) == 10)
    assert second == []
    # when the active one goes
    await active.drain(5)
    await publish(edge_bus, 10)
    # then
    await eventually(lambda: len(second) == 10)
    assert len(first) == 10


async def test_a_drain_finishes_the_batch_in_hand_and_gives_the_rest_back(world: World) -> None:
    # given a batch at work and more behind it
    begun, may_end = asyncio.Event(), asyncio.Event()
    done: list[object] = []

    async def handle(items: list[tuple[Message, Context]]) -> None:
        begun.set()
        await may_end.wait()
        done.extend(items)

    await publish(await world.bus("edge"), 12)
    billing = await world.bus("billing")
    await billing.start([ledger(handle, size=5, wait_s=10)])
    await begun.wait()
    # when
    drain = asyncio.ensure_future(billing.drain(5))
    await asyncio.sleep(0.05)
    may_end.set()
    await drain
    # then
    assert len(done) == 5
    await eventually(lambda: _holds(world, 7))


async def _is_empty(world: World, queue: str) -> bool:
    return await world.depth(queue) == 0


async def _holds(world: World, count: int) -> bool:
    return await world.depth(QUEUE) == count
