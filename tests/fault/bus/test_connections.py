"""The wire between us and the broker breaks: nothing is lost, no handler is cut off, and work goes on by itself."""

import asyncio
import time
import uuid

import pytest

from libs.common.bus import Bus, batch, jobs, rpc
from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.topology import ledger_queue
from libs.common.contracts import edge, sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode, shard_of
from libs.common.errors import DeadlinePassed, Refused, Unconfirmed
from tests.fault.bus.conftest import Connect
from tests.support.bus import ORG, a_connect, a_proxy, a_voided, eventually, in_ms
from tests.support.proxies import TcpProxy

USABLE_AGAIN_S = 2.0  # what we promise after a cut


async def serve(bus: Bus) -> None:
    async def echo(_: sessions.Proxy, context: Context) -> tuple[Message, bytes]:
        return sessions.Proxied(status=200), context.blob

    await bus.start([rpc("sessions.rpc").on(sessions.Proxy, echo)])


async def call(bus: Bus, *, within_ms: int = 1_000) -> bytes:
    _, blob = await bus.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(within_ms), blob=b"here")
    return blob


async def seconds_until_usable(bus: Bus) -> float:
    started = time.monotonic()
    while True:
        try:
            await call(bus)
        except (Refused, DeadlinePassed):
            assert time.monotonic() - started < 20
        else:
            return time.monotonic() - started


async def test_cuts_under_load_lose_no_job_and_cancel_no_handler(connect: Connect, proxy: TcpProxy) -> None:
    # given
    begun: list[uuid.UUID] = []
    done: list[uuid.UUID] = []
    cancelled: list[uuid.UUID] = []

    async def handle(_: Message, context: Context) -> None:
        begun.append(context.message_id)
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            cancelled.append(context.message_id)
            raise
        done.append(context.message_id)

    bus = await connect("sessions")
    await bus.start([jobs("sessions.jobs", prefetch=8, workers=8).on(sessions.ConnectModel, handle)])
    sent = [encode(a_connect()) for _ in range(600)]

    longest_s = 0.0

    # when the wire is cut again and again while 600 jobs are published, many at once, and done
    async def publish() -> None:
        nonlocal longest_s
        for number in range(0, len(sent), 60):
            started = time.monotonic()
            await asyncio.gather(*(bus.publisher.publish(one, timeout_s=15) for one in sent[number : number + 60]))
            longest_s = max(longest_s, time.monotonic() - started)
            await asyncio.sleep(0.3)

    async def cut() -> None:
        for _ in range(4):
            await asyncio.sleep(0.4)
            proxy.cut()
            await asyncio.sleep(1.1)  # one reconnect

    await asyncio.gather(publish(), cut())

    # then
    await eventually(lambda: {one.message_id for one in sent} <= set(done), timeout_s=20)
    assert cancelled == []
    assert len(done) == len(begun)
    assert longest_s < 10  # nobody waits on a dead connection for its whole patience
    assert proxy.connections > 2


async def test_cuts_under_load_lose_no_debit_of_a_batch(connect: Connect, proxy: TcpProxy) -> None:
    posted: set[uuid.UUID] = set()

    async def post(items: list[tuple[Message, Context]]) -> None:
        await asyncio.sleep(0.005)
        posted.update(context.message_id for _, context in items)

    consumer, publisher = await connect("billing"), await connect("edge")
    queue = ledger_queue(shard_of(ORG) // 8)
    await consumer.start([batch(queue, size=50, wait_s=0.02).on(edge.UsageVoided, post)])
    sent = [encode(a_voided(), org_id=ORG) for _ in range(600)]

    async def cut() -> None:
        for _ in range(2):
            await asyncio.sleep(0.3)
            proxy.cut()
            await asyncio.sleep(1.1)

    async def publish() -> None:
        for number in range(0, len(sent), 10):
            await asyncio.gather(
                *(publisher.publisher.publish(one, timeout_s=15) for one in sent[number : number + 10])
            )
            await asyncio.sleep(0.01)

    await asyncio.gather(publish(), cut())
    await eventually(lambda: {one.message_id for one in sent} <= posted, timeout_s=20)


@pytest.mark.alone  # it measures time
async def test_calls_under_way_at_a_cut_end_at_once_and_the_next_ones_work(connect: Connect, proxy: TcpProxy) -> None:
    # given a call that is being worked on
    begun = asyncio.Event()

    async def slow(_: sessions.Proxy, __: Context) -> sessions.Proxied:
        begun.set()
        await asyncio.sleep(0.3)
        return sessions.Proxied(status=200)

    server, caller = await connect("sessions", direct=True), await connect("edge")
    await server.start([rpc("sessions.rpc").on(sessions.Proxy, slow)])
    under_way = asyncio.ensure_future(call(caller, within_ms=30_000))
    await begun.wait()
    # when
    proxy.cut()
    # then its outcome is unknown, and known to be so long before the deadline
    with pytest.raises(DeadlinePassed):
        await asyncio.wait_for(under_way, 2)
    assert await seconds_until_usable(caller) < USABLE_AGAIN_S


@pytest.mark.alone  # it measures time
async def test_a_half_open_caller_is_back_at_once(connect: Connect, proxy: TcpProxy) -> None:
    await serve(await connect("sessions", direct=True))
    caller = await connect("edge")
    assert await call(caller) == b"here"
    # when the broker still believes in the old connection
    proxy.cut_client_side()
    # then
    assert await seconds_until_usable(caller) < USABLE_AGAIN_S


async def test_a_half_open_server_costs_only_the_calls_that_the_broker_still_sends_there(
    connect: Connect, proxy: TcpProxy
) -> None:
    await serve(await connect("sessions"))
    caller = await connect("edge", direct=True)
    assert await call(caller) == b"here"
    # when the broker still believes in the old consumer, until its heartbeats fail: it gets every second call
    proxy.cut_client_side()
    await asyncio.sleep(1.5)  # the new consumer is there
    answers = await asyncio.gather(*(_later(number * 0.01, caller) for number in range(20)), return_exceptions=True)
    # then the others are answered, and those are known to be unknown
    assert answers.count(b"here") >= 8
    assert {type(answer) for answer in answers} <= {bytes, DeadlinePassed}


async def _later(seconds: float, caller: Bus) -> bytes:
    await asyncio.sleep(seconds)
    return await call(caller)


@pytest.mark.alone  # it measures time
@pytest.mark.parametrize("has_called", [False, True])
async def test_while_the_wire_is_dead_calls_are_refused_and_readiness_says_so(
    connect: Connect, proxy: TcpProxy, has_called: bool
) -> None:
    await serve(await connect("sessions", direct=True))
    caller = await connect("edge")
    if has_called:
        await call(caller)
    await caller.check()
    await proxy.close()
    await eventually(lambda: _is_down(caller))
    started = time.monotonic()
    with pytest.raises(Refused):
        await call(caller, within_ms=30_000)
    assert time.monotonic() - started < 3
    with pytest.raises(Refused):
        await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=0.3)


async def test_a_black_hole_makes_publishes_unknown_and_they_arrive_afterwards(
    connect: Connect, proxy: TcpProxy
) -> None:
    # given
    caller, server = await connect("edge"), await connect("sessions", direct=True)
    handled: list[Message] = []

    async def handle(message: sessions.Proxy, _: Context) -> sessions.Proxied:
        handled.append(message)
        return sessions.Proxied(status=200)

    await server.start([rpc("sessions.rpc").on(sessions.Proxy, handle)])
    await call(caller)
    # when nothing goes through
    proxy.stall()
    with pytest.raises(Unconfirmed):
        await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=0.3)
    with pytest.raises(DeadlinePassed):
        await call(caller, within_ms=300)
    # and then it does
    proxy.flow()
    # then the event is there, and the call is dropped because its deadline is over
    assert await call(caller) == b""
    assert len(handled) == 2


async def test_a_connection_that_dies_while_the_watch_asks_ends_nothing_else(connect: Connect, proxy: TcpProxy) -> None:
    # given a watch that asks how much waits, into a black hole
    server = await connect("sessions")
    await serve(server)
    ((_, subscription, _),) = server._started
    proxy.stall()
    asking = asyncio.create_task(subscription.waiting())
    await asyncio.sleep(0.2)
    # when the connection is given up, as after missed heartbeats: whoever waits for it is "cancelled"
    transport = server._transport._sub.transport  # type: ignore[attr-defined]
    await transport.connection.close(ConnectionError("no heartbeat"))
    # then that is a lost connection, and no cancellation
    with pytest.raises(BUS_ERRORS):
        await asking
    proxy.flow()


async def _is_down(bus: Bus) -> bool:
    try:
        await bus.check()
    except Exception:
        return True
    return False
