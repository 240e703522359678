"""What is done to a running system, fault by fault: each breaks one thing, waits, and mends it.

A fault that must be visible names a figure that has to move while it lasts.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aio_pika
import aiohttp
import asyncpg
import redis.asyncio

from libs.common.bus.topology import definitions
from tests.support.faults.servers import FaultServers
from tests.support.stack import Stack

SERVICES = ("auth", "billing", "sessions", "edge")
PAST_FENCE_S = 45.0  # longer than the fence of a call (40 s): what was under way may not become a 2xx
PAST_HEARTBEAT_S = 36.0  # longer than it takes to give up a silent peer (33 s)


@dataclass(frozen=True, slots=True)
class World:
    """The system under faults."""

    stack: Stack
    servers: FaultServers

    @property
    def vhost(self) -> str:
        return self.stack.env["FANGATE_AMQP_URL_EDGE"].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Fault:
    """`run` breaks and mends. `shows`: service, metric (and label) that must rise above what it was. `is_long`: not in the short form."""

    name: str
    run: Callable[[World], Awaitable[None]]
    shows: tuple[str, str] | tuple[str, str, str] | None = None
    is_long: bool = False


# -- processes


def killed(service: str) -> Fault:
    async def run(world: World) -> None:
        await world.stack.kill(service)
        await asyncio.sleep(1.0)

    return Fault(f"SIGKILL {service}", run)


def paused(service: str, seconds: float, *, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        world.stack.send(service, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            world.stack.send(service, signal.SIGCONT)

    return Fault(f"SIGSTOP {service} {seconds:g} s", run, is_long=is_long)


# -- the broker and the wire to it


async def cut(world: World) -> None:
    world.servers.wire.cut()
    await asyncio.sleep(0.5)


async def cut_often(world: World) -> None:
    for _ in range(3):
        world.servers.wire.cut()
        await asyncio.sleep(1.2)


async def half_open(world: World) -> None:
    world.servers.wire.cut_client_side()
    await asyncio.sleep(2.0)


def black_hole(seconds: float, *, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        world.servers.wire.stall()
        try:
            await asyncio.sleep(seconds)
        finally:
            world.servers.wire.flow()

    return Fault(f"broker: black hole {seconds:g} s", run, is_long=is_long)


async def broker_killed(world: World) -> None:
    await world.servers.broker.kill_node()
    await asyncio.sleep(1.0)
    await world.servers.broker.start_node()


async def memory_alarm(world: World) -> None:
    await world.servers.broker.alarm(on=True)
    try:
        await asyncio.sleep(4.0)
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
            await asyncio.sleep(2.0)
        finally:
            await management.import_definitions({"policies": policies})

    return Fault(name, run, shows=shows)


async def repeated_usage(world: World) -> None:
    """Every usage message of two seconds again, twice, in the reverse order."""
    servers, stack = world.servers, world.stack
    copies: list[Any] = []
    spy = await aio_pika.connect(servers.without_wire(stack.env["FANGATE_AMQP_URL_EDGE"], user="admin"))
    async with spy:
        channel = await spy.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("events", "edge.usage.#")

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            copies.append(message)

        await queue.consume(keep, no_ack=True)
        await asyncio.sleep(2.0)
    edge = await aio_pika.connect(servers.without_wire(stack.env["FANGATE_AMQP_URL_EDGE"]))
    async with edge:
        events = await (await edge.channel()).get_exchange("events", ensure=False)
        for copy in [*reversed(copies), *copies]:
            again = aio_pika.Message(
                copy.body, message_id=copy.message_id, type=copy.type, app_id=copy.app_id, user_id=copy.user_id,
                timestamp=copy.timestamp, content_type=copy.content_type, headers=copy.headers,
                delivery_mode=copy.delivery_mode,
            )  # fmt: skip
            await events.publish(again, routing_key=copy.routing_key)


# -- Redis


async def flushed(world: World) -> None:
    await world.stack.flush_redis()
    await asyncio.sleep(0.5)


async def scripts_flushed(world: World) -> None:
    await _redis(world, lambda client: client.script_flush())


async def redis_cut(world: World) -> None:
    await _redis(world, lambda client: client.client_kill_filter(_type="normal"))


async def redis_paused(world: World) -> None:
    await world.servers.redis.pause()
    try:
        await asyncio.sleep(3.0)
    finally:
        await world.servers.redis.resume()


async def redis_killed(world: World) -> None:
    await world.servers.redis.kill()
    await asyncio.sleep(2.0)
    await world.servers.redis.start()


async def _redis(world: World, work: Callable[["redis.asyncio.Redis"], Awaitable[Any]]) -> None:
    client = redis.asyncio.Redis.from_url(world.servers.redis.url)
    try:
        await work(client)
    finally:
        await client.aclose()
    await asyncio.sleep(0.5)


# -- Postgres


async def postgres_crashed(world: World) -> None:
    await world.servers.postgres.crash()
    await asyncio.sleep(1.0)
    await world.servers.postgres.start()


async def postgres_cut(world: World) -> None:
    """Every session of the services ends."""
    connection = await asyncpg.connect(world.servers.postgres.dsn)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    finally:
        await connection.close()
    await asyncio.sleep(0.5)


async def organizations_locked(world: World) -> None:
    """Somebody holds the rows that every debit and every lease needs."""
    connection = await asyncpg.connect(world.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM billing.orgs FOR UPDATE")
            await asyncio.sleep(3.0)
    finally:
        await connection.close()


# -- the platform


def platform(what: str, **fault: Any) -> Fault:
    """The sandbox misbehaves for everybody, for two seconds."""

    async def run(world: World) -> None:
        async with aiohttp.ClientSession(world.stack.sandbox_url) as session:
            async with session.post("/_control/faults", json={"times": 200, **fault}) as answer:
                assert answer.status == 201, await answer.text()
            await asyncio.sleep(2.0)
            async with session.delete("/_control/faults") as answer:
                assert answer.status == 204

    return Fault(f"platform: {what}", run)


async def sessions_expired(world: World) -> None:
    async with aiohttp.ClientSession(world.stack.sandbox_url) as session:
        for _ in range(4):
            async with session.post("/_control/expire-sessions") as answer:
                assert answer.status == 200
            await asyncio.sleep(0.4)


WITHOUT_REDIS = ("edge", "fangate_ratelimit_degraded")
FAULTS: tuple[Fault, ...] = (
    killed("billing"),
    Fault("Redis: FLUSHALL", flushed),
    Fault("broker: cut", cut, shows=("edge", "fangate_bus_reconnects_total")),
    killed("edge"),
    Fault("Postgres: immediate stop", postgres_crashed),
    Fault("usage repeated, reversed", repeated_usage, shows=("billing", "fangate_ledger_duplicates_total")),
    killed("sessions"),
    Fault("Redis: SIGKILL, back empty", redis_killed, shows=WITHOUT_REDIS),
    Fault("broker: SIGKILL, restart", broker_killed, shows=("edge", "fangate_bus_reconnects_total")),
    killed("auth"),
    Fault("broker: memory alarm", memory_alarm, shows=("edge", "fangate_bus_blocked")),
    platform("connection lost after the effect", drop="after"),
    paused("billing", 3.0),
    Fault("Redis: SIGSTOP 3 s", redis_paused, shows=WITHOUT_REDIS),
    Fault("broker: half-open", half_open, shows=("edge", "fangate_bus_reconnects_total")),
    paused("edge", 3.0),
    full_queue(
        "ledger queues full", ("billing.ledger.0", "billing.ledger.1"), of="billing",
        shows=("edge", "fangate_usage_records_total", 'outcome="refused"'),
    ),
    Fault("platform: sessions expire", sessions_expired, shows=("sessions", "fangate_session_refresh_total")),
    paused("sessions", 3.0),
    Fault("Postgres: sessions ended", postgres_cut),
    full_queue(
        "sessions' queue full", ("sessions.rpc",), of="sessions",
        shows=("edge", "fangate_bus_rpc_total", 'outcome="refused"'),
    ),
    black_hole(3.0),
    Fault("Redis: connections cut", redis_cut),
    Fault("Postgres: money locked 3 s", organizations_locked),
    Fault("broker: three cuts", cut_often, shows=("edge", "fangate_bus_reconnects_total")),
    platform("no JSON", garbage=True),
    Fault("Redis: SCRIPT FLUSH", scripts_flushed),
    paused("auth", 3.0),
    platform("errors 500", status=500),
    paused("sandbox", 3.0),
    platform("answers half", half_body=True),
    platform("slow by 1.5 s", delay_ms=1_500),
    black_hole(PAST_HEARTBEAT_S, is_long=True),
    paused("edge", PAST_FENCE_S, is_long=True),
    paused("sessions", PAST_FENCE_S, is_long=True),
    paused("billing", PAST_FENCE_S, is_long=True),
    paused("auth", PAST_HEARTBEAT_S, is_long=True),
    paused("sandbox", PAST_HEARTBEAT_S, is_long=True),
)  # fmt: skip
