"""The broker restarts, is full, raises an alarm, loses a queue, or is lied to."""

import asyncio
import uuid
from typing import Any

import aio_pika
import aiormq
import pytest

from libs.common.bus import Bus, jobs, metrics, rpc
from libs.common.bus.errors import BUS_ERRORS, BusError
from libs.common.bus.topology import definitions
from libs.common.contracts import sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import COMMANDS, encode
from libs.common.errors import DeadlinePassed, Refused, Unconfirmed
from tests.fault.bus.conftest import Connect
from tests.fault.bus.test_connections import USABLE_AGAIN_S, call, seconds_until_usable, serve
from tests.support.bus import ORG, RabbitWorld, a_balance_question, a_connect, a_parcel, a_voided, eventually, in_ms
from tests.support.own_broker import OwnBroker
from tests.support.proxies import TcpProxy
from tests.support.servers import TestBroker


async def noticed(bus: Bus) -> None:
    """Return once `bus` knows that its broker is gone."""
    async with asyncio.timeout(20):
        while True:
            try:
                await bus.check()
            except (BusError, *BUS_ERRORS):
                return
            await asyncio.sleep(0.02)


@pytest.mark.alone  # it measures time
async def test_a_restart_loses_no_job_and_calls_work_again(own_broker: OwnBroker) -> None:
    # given a consumer with messages in hand, and a caller
    done: list[uuid.UUID] = []
    may_end = asyncio.Event()

    async def handle(_: Message, context: Context) -> None:
        await may_end.wait()
        done.append(context.message_id)

    server = await Bus.connect(own_broker.url("sessions"), service="sessions")
    caller = await Bus.connect(own_broker.url("edge"), service="edge")
    await server.start([jobs("sessions.jobs", prefetch=8, workers=2).on(sessions.ConnectModel, handle)])
    await serve(server)
    sent = [encode(a_connect()) for _ in range(20)]
    for one in sent:
        await server.publisher.publish(one)
    assert await call(caller) == b"here"

    # when
    await own_broker.kill_node()
    await noticed(server)  # what is written before that may have arrived, for all that anybody knows
    with pytest.raises(Refused):
        await server.publisher.publish(encode(a_connect()), timeout_s=0.5)
    await own_broker.start_node()

    # then
    assert await seconds_until_usable(caller) < USABLE_AGAIN_S + 1.0  # one reconnect interval of either side
    may_end.set()
    await eventually(lambda: {one.message_id for one in sent} <= set(done), timeout_s=20)
    await caller.close()
    await server.close()


async def test_under_an_alarm_the_late_call_is_dropped_and_the_late_event_kept(own_broker: OwnBroker) -> None:
    # given
    handled: list[Message] = []

    async def handle(message: sessions.Proxy, _: Context) -> sessions.Proxied:
        handled.append(message)
        return sessions.Proxied(status=200)

    server = await Bus.connect(own_broker.url("sessions"), service="sessions")
    caller = await Bus.connect(own_broker.url("edge"), service="edge")
    await server.start([rpc("sessions.rpc").on(sessions.Proxy, handle)])
    await call(caller)

    # when the broker takes nothing
    await own_broker.alarm(on=True)
    with pytest.raises(Unconfirmed):
        await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=0.5)
    with pytest.raises(DeadlinePassed):
        await call(caller, within_ms=500)
    with pytest.raises(Exception, match="alarm"):
        await caller.check()
    # the consuming side is not blocked
    assert server._transport._sub.connected.is_set()  # type: ignore[attr-defined]
    await own_broker.alarm(on=False)

    # then the call came too late to be handled, and the event is there
    await eventually(lambda: _checks(caller))
    assert await call(caller, within_ms=5_000) == b""
    assert len(handled) == 2
    connection = await aio_pika.connect(own_broker.url("admin"))
    async with connection:
        channel = await connection.channel()
        depths = [
            (await channel.declare_queue(f"billing.ledger.{n}", passive=True)).declaration_result.message_count or 0
            for n in (0, 1)
        ]
    assert sum(depths) == 1
    await caller.close()
    await server.close()


async def test_an_alarm_shows_in_the_metrics_though_nobody_asks_for_readiness(own_broker: OwnBroker) -> None:
    bus = await Bus.connect(own_broker.url("edge"), service="edge")
    watching = asyncio.create_task(bus.run())
    await bus.check()
    # when the broker takes no publishes, which it tells those who try
    await own_broker.alarm(on=True)
    with pytest.raises(Unconfirmed):
        await bus.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=0.5)
    # then
    await eventually(lambda: _blocked_is(1.0))
    await own_broker.alarm(on=False)
    await eventually(lambda: _blocked_is(0.0))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await bus.close()


async def _blocked_is(figure: float) -> bool:
    (sample,) = next(iter(metrics.BLOCKED.collect())).samples
    return sample.value == figure


async def test_a_breaker_stops_asking_a_broker_that_does_not_answer(own_broker: OwnBroker) -> None:
    caller = await Bus.connect(own_broker.url("edge"), service="edge")
    await own_broker.alarm(on=True)
    for _ in range(5):
        with pytest.raises(Unconfirmed):
            await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=0.1)
    with pytest.raises(Refused):
        await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=5)
    with pytest.raises(Refused):
        await call(caller, within_ms=5_000)
    await own_broker.alarm(on=False)
    await asyncio.sleep(1.0)
    await caller.publisher.publish(encode(a_voided(), org_id=ORG), timeout_s=5)
    await caller.close()


async def test_a_full_queue_refuses_calls_at_once(broker: TestBroker) -> None:
    # given room for one call, and nobody who takes any
    policy = next(p for p in definitions(broker.vhost)["policies"] if p["name"] == "billing.rpc")
    policy["definition"]["max-length"] = 1
    await broker.management.import_definitions({"policies": [policy]})
    edge = await Bus.connect(broker.url("edge"), service="edge")

    async def ask() -> object:
        return await edge.call(a_balance_question(), org_id=ORG, deadline_ms=in_ms(1_000))

    # when
    outcomes = await asyncio.gather(*(_after(n * 0.02, ask) for n in range(8)), return_exceptions=True)
    # then the broker says so, and we do
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds.count(Refused) >= 4
    assert set(kinds) <= {Refused, DeadlinePassed}
    await edge.close()


@pytest.mark.alone  # it measures time
async def test_a_queue_that_is_gone_refuses_calls_and_its_consumer_returns_with_it(broker: TestBroker) -> None:
    server = await Bus.connect(broker.url("sessions"), service="sessions")
    edge = await Bus.connect(broker.url("edge"), service="edge")
    await serve(server)
    assert await call(edge) == b"here"
    # when
    await _delete_queue(broker, "sessions.rpc")
    with pytest.raises(Refused):
        await call(edge)
    await broker.management.import_definitions(definitions(broker.vhost))
    # then its consumer comes back by itself, and calls work
    assert await seconds_until_usable(edge) < USABLE_AGAIN_S
    await edge.close()
    await server.close()


@pytest.mark.alone  # it measures time
async def test_a_queue_that_is_deleted_and_made_again_at_once_is_consumed_again(broker: TestBroker) -> None:
    """RabbitMQ before 4.0 would restore the consumer by itself, and then drop whatever is delivered to it."""
    server = await Bus.connect(broker.url("sessions"), service="sessions")
    edge = await Bus.connect(broker.url("edge"), service="edge")
    await serve(server)
    ours = next(queue for queue in definitions()["queues"] if queue["name"] == "sessions.rpc")
    admin = await aiormq.connect(broker.admin_url)
    channel = await admin.channel()
    for _ in range(10):
        assert await call(edge) == b"here"
        # when
        await channel.queue_delete("sessions.rpc")
        await channel.queue_declare("sessions.rpc", durable=True, arguments=ours["arguments"])
        await channel.queue_bind("sessions.rpc", COMMANDS, routing_key="sessions.rpc.#")
        # then
        assert await seconds_until_usable(edge) < USABLE_AGAIN_S
    await admin.close()
    await edge.close()
    await server.close()


@pytest.mark.alone  # it measures time
async def test_a_missing_queue_costs_its_own_consumer_only(
    broker: TestBroker, connect: Connect, proxy: TcpProxy
) -> None:
    # given a service with two queues, one of which is deleted
    done: list[uuid.UUID] = []

    async def handle(_: Message, context: Context) -> None:
        done.append(context.message_id)

    server, edge = await connect("sessions"), await connect("edge", direct=True)
    await serve(server)
    await server.start([jobs("sessions.jobs", prefetch=8, workers=2).on(sessions.ConnectModel, handle)])
    await _delete_queue(broker, "sessions.jobs")
    # when it has to connect again
    proxy.cut()
    # then the other one is served
    assert await seconds_until_usable(edge) < USABLE_AGAIN_S
    # and the first one as soon as it is there
    await broker.management.import_definitions(definitions(broker.vhost))
    sent = encode(a_connect())
    await server.publisher.publish(sent)
    await eventually(lambda: done == [sent.message_id], timeout_s=2.0)


async def test_a_message_that_kills_its_worker_again_and_again_ends_up_dead(broker: TestBroker) -> None:
    # given a worker that dies on it: takes it and is gone without a word
    world = RabbitWorld(broker)
    bus = await world.bus("sessions")
    sent = encode(a_connect())
    await bus.publisher.publish(sent)
    deaths = 0
    while await world.depth("sessions.jobs"):
        connection = await aiormq.connect(broker.url("sessions"))
        channel = await connection.channel()
        await channel.basic_get("sessions.jobs")
        await connection.close()
        deaths += 1
        assert deaths < 20
        await asyncio.sleep(0.02)
    # then the broker itself has put it aside
    assert deaths == 11
    letters: list[Any] = []

    async def look() -> bool:
        letters.extend(await world.dead("sessions.jobs"))
        return bool(letters)

    await eventually(look)
    assert letters[0].message_id == str(sent.message_id)
    await world.close()


async def test_the_broker_refuses_a_forged_user(broker: TestBroker) -> None:
    connection = await aiormq.connect(broker.url("sessions"))
    channel = await connection.channel()
    forged = aiormq.spec.Basic.Properties(user_id="edge", message_type="edge.usage.voided.v1")
    with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
        await channel.basic_publish(b"{}", exchange="", routing_key="billing.ledger.0", properties=forged)
    await connection.close()


async def test_what_a_login_may_not_send_is_refused(broker: TestBroker) -> None:
    edge = await Bus.connect(broker.url("edge"), service="edge")
    for parcel in (
        a_parcel(a_connect()),  # a job of sessions
        a_parcel(a_voided(), routing_key="billing.balance.changed.v1"),  # somebody else's event
        a_parcel(a_connect(), exchange="", routing_key="sessions.jobs"),  # a queue by name
        a_parcel(a_connect(), exchange="dead", routing_key="sessions.jobs"),
    ):
        with pytest.raises(Refused):
            await edge.publisher.send(parcel, timeout_s=5)
    # and the refusals, which cost a channel each, do not stop what is allowed
    await edge.publisher.publish(encode(a_voided(), org_id=ORG))
    await edge.close()


async def test_a_foreign_queue_cannot_be_consumed(broker: TestBroker) -> None:
    bus = await Bus.connect(broker.url("sessions"), service="sessions")
    with pytest.raises(Exception, match="ACCESS_REFUSED"):
        await bus.start([jobs("billing.jobs", prefetch=1, workers=1)])
    await bus.close()


async def _checks(bus: Bus) -> bool:
    try:
        await bus.check()
    except Exception:
        return False
    return True


async def _after(seconds: float, work: Any) -> object:
    await asyncio.sleep(seconds)
    return await work()


async def _delete_queue(broker: TestBroker, queue: str) -> None:
    connection = await aiormq.connect(broker.admin_url)
    channel = await connection.channel()
    await channel.queue_delete(queue)
    await connection.close()
