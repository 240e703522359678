"""Start, readiness, drain, and the rights of each login."""

import asyncio

import pytest

from libs.common.bus import jobs, rpc
from libs.common.bus.errors import QueueMissing
from libs.common.contracts import sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode
from libs.common.errors import RpcError
from tests.support.bus import ORG, World, a_connect, a_proxy, eventually, in_ms


async def test_a_missing_queue_stops_the_start_and_is_named(world: World) -> None:
    bus = await world.bus("sessions")
    with pytest.raises(QueueMissing, match=r"sessions\.nowhere"):
        await bus.start([jobs("sessions.nowhere", prefetch=1, workers=1)])


async def test_a_connected_bus_is_ready_and_a_closed_one_is_not(world: World) -> None:
    bus = await world.bus("edge")
    await bus.check()
    await bus.close()
    with pytest.raises(Exception, match=r"down|closed"):
        await bus.check()


async def test_a_drain_loses_nothing_of_four_hundred(world: World) -> None:
    # given 400 jobs and a consumer in the middle of them
    done: list[Message] = []
    bus = await world.bus("sessions")
    for _ in range(400):
        await bus.publisher.publish(encode(a_connect()))

    async def handle(message: Message, _: Context) -> None:
        await asyncio.sleep(0.005)
        done.append(message)

    await bus.start([jobs("sessions.jobs", prefetch=32, workers=4).on(sessions.ConnectModel, handle)])
    await eventually(lambda: len(done) > 20)
    # when
    started = asyncio.get_running_loop().time()
    await bus.drain(5)
    # then
    assert asyncio.get_running_loop().time() - started < 1.0

    async def is_all_there() -> bool:
        return len(done) + await world.depth("sessions.jobs") == 400

    await eventually(is_all_there)


async def test_a_drain_answers_the_calls_in_hand(world: World) -> None:
    begun = asyncio.Event()

    async def handle(_: sessions.Proxy, __: Context) -> sessions.Proxied:
        begun.set()
        await asyncio.sleep(0.1)
        return sessions.Proxied(status=204)

    server = await world.bus("sessions")
    await server.start([rpc("sessions.rpc").on(sessions.Proxy, handle)])
    edge = await world.bus("edge")
    call = asyncio.ensure_future(edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000)))
    await begun.wait()
    await server.drain(5)
    answer, _ = await call
    assert answer == sessions.Proxied(status=204)


async def test_a_drain_that_takes_too_long_cuts_the_handler_off(world: World) -> None:
    begun = asyncio.Event()

    async def handle(_: Message, __: Context) -> None:
        begun.set()
        await asyncio.sleep(60)

    bus = await world.bus("sessions")
    await bus.start([jobs("sessions.jobs", prefetch=1, workers=1).on(sessions.ConnectModel, handle)])
    await bus.publisher.publish(encode(a_connect()))
    await begun.wait()
    await asyncio.wait_for(bus.drain(0.05), 3)
    await bus.close()  # the connection ends, and with it our hold on the message

    async def is_back() -> bool:
        return await world.depth("sessions.jobs") == 1

    await eventually(is_back)


async def test_two_workers_share_the_calls(world: World) -> None:
    served = {"a": 0, "b": 0}

    def counting(name: str):  # type: ignore[no-untyped-def]
        async def handle(_: sessions.Proxy, __: Context) -> sessions.Proxied:
            served[name] += 1
            await asyncio.sleep(0.002)
            return sessions.Proxied(status=200)

        return handle

    for name in served:
        bus = await world.bus("sessions")
        await bus.start([rpc("sessions.rpc", prefetch=4).on(sessions.Proxy, counting(name))])
    edge = await world.bus("edge")
    for _ in range(20):
        await asyncio.gather(*(edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000)) for _ in range(3)))
    assert sum(served.values()) == 60
    assert all(served.values())


async def test_a_server_error_does_not_stop_the_next_call(world: World) -> None:
    answers = iter([ValueError("a"), None])

    async def handle(_: sessions.Proxy, __: Context) -> sessions.Proxied:
        if (error := next(answers)) is not None:
            raise error
        return sessions.Proxied(status=200)

    server = await world.bus("sessions")
    await server.start([rpc("sessions.rpc", workers=1).on(sessions.Proxy, handle)])
    edge = await world.bus("edge")
    with pytest.raises(RpcError):
        await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000))
    answer, _ = await edge.call(a_proxy(), org_id=ORG, deadline_ms=in_ms(5_000))
    assert answer == sessions.Proxied(status=200)
