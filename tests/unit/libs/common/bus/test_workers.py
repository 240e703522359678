"""What workers do beyond single messages: the brake, staleness, the watch over a stuck consumer."""

import asyncio
import contextlib
import uuid

import pytest

from libs.common.bus import MemoryBroker, MemoryBus, batch, jobs, rpc
from libs.common.bus import bus as bus_module
from libs.common.bus.errors import BusError, ConsumerStuck
from libs.common.bus.jobs import BRAKE_AFTER, BRAKE_PAUSE_S
from libs.common.contracts import edge, sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode
from libs.common.errors import DeadlinePassed, Permanent, Refused, Transient, Unconfirmed
from libs.common.telemetry.trace import current_traceparent
from tests.support.bus import ORG, a_connect, a_proxy, a_voided, eventually, in_ms


async def test_the_brake_leaves_one_slow_worker_until_something_succeeds() -> None:
    # given a world in which everything fails, with four workers
    broker = MemoryBroker()
    bus = MemoryBus("sessions", broker)
    pauses: list[float] = []
    is_over, at_once, most = False, 0, 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    bus._sleep = sleep

    async def handle(_: Message, __: Context) -> None:
        nonlocal at_once, most
        at_once += 1
        if len([p for p in pauses if p == BRAKE_PAUSE_S]) > 2:
            most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        if not is_over:
            raise Transient("away")

    await bus.start([jobs("sessions.jobs", prefetch=8, workers=4).on(sessions.ConnectModel, handle)])
    for _ in range(BRAKE_AFTER * 2):
        await bus.publisher.publish(encode(a_connect()))
    # then it engages
    await eventually(lambda: pauses.count(BRAKE_PAUSE_S) > 5)
    assert most == 1
    # and releases at the first success
    is_over = True
    before = pauses.count(BRAKE_PAUSE_S)
    await bus.settle()
    assert pauses.count(BRAKE_PAUSE_S) <= before + 2
    await bus.close()


async def test_stale_messages_are_not_handled_and_come_again() -> None:
    # given a worker that is busy, with three messages behind
    broker = MemoryBroker()
    bus = MemoryBus("sessions", broker)
    handled: list[uuid.UUID] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def handle(_: Message, context: Context) -> None:
        handled.append(context.message_id)
        begun.set()
        await may_end.wait()

    consumer = jobs("sessions.jobs", prefetch=8, workers=1).on(sessions.ConnectModel, handle)
    await bus.start([consumer])
    sent = [encode(a_connect()) for _ in range(4)]
    for one in sent:
        await bus.publisher.publish(one)
    await begun.wait()
    # when the connection is lost under it and comes back
    bus.transport.subscriptions[0].cut()
    may_end.set()
    await asyncio.sleep(0.01)
    # then the one in hand was finished, not cut off; the others were left alone
    assert handled == [sent[0].message_id]
    assert len(broker.queues["sessions.jobs"].ready) == 4
    other = MemoryBus("sessions", broker)
    await other.start([consumer])
    await other.settle()
    assert sorted(handled) == sorted([sent[0].message_id, *(one.message_id for one in sent)])
    await bus.close()
    await other.close()


async def test_a_stale_batch_is_left_to_the_broker() -> None:
    broker = MemoryBroker(time_scale=1.0)
    bus = MemoryBus("billing", broker)
    tries = 0

    async def handle(_: list[tuple[Message, Context]]) -> None:
        nonlocal tries
        tries += 1
        raise Transient("away")

    queues = [batch(f"billing.ledger.{n}", size=5, wait_s=0.001).on(edge.UsageVoided, handle) for n in (0, 1)]
    await bus.start(queues)
    await MemoryBus("edge", broker).publisher.publish(encode(a_voided(), org_id=ORG))
    await eventually(lambda: tries == 1)
    for subscription in bus.transport.subscriptions:
        subscription.cut()
    await asyncio.sleep(0.2)
    assert tries == 1
    assert sum(len(queue.ready) for queue in broker.queues.values()) == 1
    await bus.close()


async def test_a_copy_that_cannot_be_sent_keeps_the_original_in_hand() -> None:
    broker = MemoryBroker()
    bus = MemoryBus("sessions", broker)

    async def handle(_: Message, __: Context) -> None:
        raise Permanent("never")

    await bus.publisher.publish(encode(a_connect()))
    bus.fail_next(Refused, times=2)
    bus.fail_next(Unconfirmed, times=1, arrives=True)
    await bus.start([jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handle)])
    await bus.settle()
    assert len(broker.queues["sessions.jobs.dead"].ready) == 2  # at worst a duplicate, never a loss
    assert not broker.queues["sessions.jobs"].ready
    await bus.close()


async def test_handlers_run_in_the_trace_of_their_message() -> None:
    broker = MemoryBroker()
    seen: list[str] = []

    async def answer(_: Message, __: Context) -> sessions.Proxied:
        seen.append(current_traceparent.get())
        return sessions.Proxied(status=200)

    server, caller = MemoryBus("sessions", broker), MemoryBus("edge", broker)
    await server.start([rpc("sessions.rpc").on(sessions.Proxy, answer)])
    await asyncio.gather(
        *(caller.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(1_000), traceparent=f"t{n}") for n in range(3))
    )
    assert sorted(seen) == ["t0", "t1", "t2"]
    await server.close()
    await caller.close()


async def test_calls_of_one_tick_share_messages_of_at_most_32() -> None:
    broker = MemoryBroker()

    async def answer(_: Message, __: Context) -> sessions.Proxied:
        return sessions.Proxied(status=200)

    server, caller = MemoryBus("sessions", broker), MemoryBus("edge", broker)
    await server.start([rpc("sessions.rpc").on(sessions.Proxy, answer)])
    await asyncio.gather(*(caller.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(1_000)) for _ in range(100)))
    assert len(caller.sent) == 4
    assert all(not parcel.persistent and parcel.expiration_ms for parcel in caller.sent)
    await server.close()
    await caller.close()


async def test_a_framed_call_that_the_bus_refuses_is_refused_for_each_of_its_callers() -> None:
    caller = MemoryBus("edge")
    caller.fail_next(Refused)
    outcomes = await asyncio.gather(
        *(caller.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(1_000)) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Refused] * 3
    await caller.close()


async def test_closing_ends_calls_under_way_with_what_is_known() -> None:
    caller = MemoryBus("edge")
    call = asyncio.ensure_future(caller.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(60_000)))
    await asyncio.sleep(0.01)
    await caller.close()
    with pytest.raises(DeadlinePassed):
        await call


async def test_a_consumer_to_which_nothing_comes_while_messages_wait_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus_module, "WATCH_EVERY_S", 0.001)
    broker = MemoryBroker()
    bus = MemoryBus("sessions", broker)

    async def handle(_: Message, __: Context) -> None: ...

    await bus.start([jobs("sessions.jobs", prefetch=8, workers=1).on(sessions.ConnectModel, handle)])
    watch = asyncio.ensure_future(bus.run())
    await bus.publisher.publish(encode(a_connect()))
    await bus.settle()
    await asyncio.sleep(0.02)
    assert not watch.done()  # all is well
    # when the broker forgets the consumer, and we do not know
    broker.queues["sessions.jobs"].consumers.clear()
    await bus.publisher.publish(encode(a_connect()))
    # then
    with pytest.raises(ConsumerStuck, match=r"sessions\.jobs"):
        await asyncio.wait_for(watch, 2)
    await bus.close()


async def test_a_worker_that_dies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = MemoryBus("sessions")

    async def handle(_: Message, __: Context) -> None: ...

    watch = asyncio.ensure_future(bus.run())
    await asyncio.sleep(0)
    await bus.check()

    async def die() -> None:
        raise ZeroDivisionError

    bus._spawn(die)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(watch, 1)
    with pytest.raises(BusError):
        await bus.check()
    with contextlib.suppress(ZeroDivisionError):
        await bus.close()
