"""What is done to the broker, to the wire to it, and to the messages in it."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import aio_pika

from libs.common.bus.topology import definitions
from libs.common.contracts.wire import COMMANDS, EVENTS
from tests.support.faults.world import PAST_FENCE_S, PAST_HEARTBEAT_S, Fault, Meanwhile, World

RECONNECTED: Final = ("edge", "fangate_bus_reconnects_total")


async def cut(world: World) -> None:
    world.servers.broker_wire.cut()
    await asyncio.sleep(0.5)


async def cut_often(world: World) -> None:
    for _ in range(3):
        world.servers.broker_wire.cut()
        await asyncio.sleep(1.2)


async def half_open(world: World) -> None:
    world.servers.broker_wire.cut_client_side()
    await asyncio.sleep(2.0)


def black_hole(seconds: float, *, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        world.servers.broker_wire.stall()
        try:
            await world.last(seconds)
        finally:
            world.servers.broker_wire.flow()

    return Fault(f"broker: black hole {seconds:g} s", run, Meanwhile.REFUSED, is_long=is_long)


def broker_away(seconds: float, *, is_short: bool = False, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        await world.servers.broker.kill_node()
        await world.last(seconds)
        await world.servers.broker.start_node()

    name = f"broker: SIGKILL, away {seconds:g} s"
    return Fault(name, run, Meanwhile.REFUSED, shows=RECONNECTED, is_short=is_short, is_long=is_long)


async def memory_alarm(world: World) -> None:
    await world.servers.broker.alarm(on=True)
    try:
        await world.last(4.0)
    finally:
        await world.servers.broker.alarm(on=False)


def full_queue(name: str, queues: tuple[str, ...], *, of: str, shows: tuple[str, str, str]) -> Fault:
    """Room for a single message, and the service that takes them away is killed."""

    async def run(world: World) -> None:
        management = world.servers.broker.management
        policies = [policy for policy in definitions(world.vhost)["policies"] if policy["name"] in queues]
        small = [{**policy, "definition": {**policy["definition"], "max-length": 1}} for policy in policies]
        await management.import_definitions({"policies": small})
        try:
            await world.stack.kill(of)
            # All customers may be waiting for answers by now: others come, some of whom find the queue full.
            await asyncio.gather(*(_later(number * 0.1, world.burst(4)) for number in range(8)))
            await asyncio.sleep(1.0)
        finally:
            await management.import_definitions({"policies": policies})

    return Fault(name, run, shows=shows, is_short=True)


async def _later(seconds: float, work: Awaitable[None]) -> None:
    await asyncio.sleep(seconds)
    await work


async def repeated_usage(world: World) -> None:
    """Every usage message of two seconds again, twice, the first time in the reverse order."""
    copies = await _copies(world, EVENTS, "edge.usage.#")
    await _send(world, EVENTS, [*reversed(copies), *copies])


async def repeated_calls(world: World) -> None:
    """Every call to sessions of a second again, in the reverse order, while their callers may still wait for the answer."""
    for _ in range(3):
        copies = await _copies(world, COMMANDS, "sessions.rpc.#", seconds=0.3)
        await _send(world, COMMANDS, list(reversed(copies)))


async def _copies(world: World, exchange: str, pattern: str, *, seconds: float = 2.0) -> list[Any]:
    copies: list[Any] = []
    spy = await aio_pika.connect(world.servers.without_wire(world.stack.env["FANGATE_AMQP_URL_EDGE"], user="admin"))
    async with spy:
        channel = await spy.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, pattern)

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            copies.append(message)

        await queue.consume(keep, no_ack=True)
        await asyncio.sleep(seconds)
    return copies


async def _send(world: World, exchange: str, copies: list[Any]) -> None:
    """As the edge."""
    edge = await aio_pika.connect(world.servers.without_wire(world.stack.env["FANGATE_AMQP_URL_EDGE"]))
    async with edge:
        target = await (await edge.channel()).get_exchange(exchange, ensure=False)
        for copy in copies:
            again = aio_pika.Message(
                copy.body, message_id=copy.message_id, type=copy.type, app_id=copy.app_id, user_id=copy.user_id,
                timestamp=copy.timestamp, content_type=copy.content_type, headers=copy.headers,
                delivery_mode=copy.delivery_mode, correlation_id=copy.correlation_id, reply_to=copy.reply_to,
            )  # fmt: skip
            await target.publish(again, routing_key=copy.routing_key)


async def queue_deleted(world: World) -> None:
    """The queue of the calls to sessions, and made again: they are refused or unknown, and its consumer comes back."""
    admin = await aio_pika.connect(world.servers.without_wire(world.stack.env["FANGATE_AMQP_URL_EDGE"], user="admin"))
    async with admin:
        await (await admin.channel()).queue_delete("sessions.rpc")
    await world.burst(4)  # all customers may be waiting for answers
    await world.servers.broker.management.import_definitions(definitions(world.vhost))
    await asyncio.sleep(1.0)


BROKER_FAULTS: Final = (
    Fault("broker: cut", cut, shows=RECONNECTED, is_short=True),
    Fault("broker: three cuts", cut_often, shows=RECONNECTED),
    Fault("broker: half-open", half_open, shows=RECONNECTED),
    black_hole(3.0),
    black_hole(PAST_HEARTBEAT_S, is_long=True),
    broker_away(2.0, is_short=True),
    broker_away(PAST_FENCE_S, is_long=True),
    Fault("broker: memory alarm", memory_alarm, Meanwhile.REFUSED, shows=("edge", "fangate_bus_blocked"), is_short=True),
    full_queue(
        "ledger queues full", ("billing.ledger.0", "billing.ledger.1"), of="billing",
        shows=("edge", "fangate_usage_records_total", 'outcome="refused"'),
    ),
    full_queue(
        "sessions' queue full", ("sessions.rpc",), of="sessions",
        shows=("edge", "fangate_bus_rpc_total", 'outcome="refused"'),
    ),
    Fault("sessions' queue deleted, made again", queue_deleted, shows=("edge", "fangate_bus_rpc_total", 'outcome="refused"')),
    Fault(
        "usage repeated, reversed", repeated_usage, shows=("billing", "fangate_ledger_duplicates_total"), is_short=True
    ),
    Fault("calls repeated, reversed", repeated_calls, Meanwhile.EITHER, shows=("edge", "fangate_bus_rpc_late_total")),
)  # fmt: skip
