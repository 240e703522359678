"""What is done to a running system, fault by fault: each breaks one thing, waits, and mends it.

A fault that must be visible names a figure that has to move while it lasts.
"""

import asyncio
import enum
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aio_pika
import aiohttp
import asyncpg
import redis.asyncio

from libs.common.bus.topology import definitions
from tests.support.faults.servers import FaultServers
from tests.support.stack import Stack

BEGIN_S: Final = 1.0  # until what was under way is answered
PAST_FENCE_S: Final = 45.0  # longer than the fence of a call (40 s): what was under way may not become a 2xx
PAST_HEARTBEAT_S: Final = 36.0  # longer than it takes to give up a silent peer (33 s)


@dataclass(slots=True)
class World:
    """The system under faults. `answers` counts what customers were answered so far; `meanwhile` what they were answered
    while the last fault lasted.
    """

    stack: Stack
    servers: FaultServers
    answers: Callable[[], Counter[int]]
    meanwhile: Counter[int] = field(default_factory=Counter)

    @property
    def vhost(self) -> str:
        return self.stack.env["FANGATE_AMQP_URL_EDGE"].rpartition("/")[2]

    async def last(self, seconds: float) -> None:
        """Let what is broken be broken; what was under way at its begin is not counted."""
        await asyncio.sleep(BEGIN_S)
        before = self.answers()
        await asyncio.sleep(seconds - BEGIN_S)
        self.meanwhile = self.answers() - before


class Meanwhile(enum.Enum):
    """What is promised to customers while it lasts."""

    SERVED = "served"  # calls go on
    REFUSED = "refused"  # no 2xx: nothing is given that could not be recorded
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Fault:
    """`run` breaks and mends. `shows`: service, metric (and label) that must rise above what it was. `is_short`: in `make
    test`; `is_long`: it takes so long that a run does it once.
    """

    name: str
    run: Callable[[World], Awaitable[None]]
    meanwhile: Meanwhile = Meanwhile.EITHER
    shows: tuple[str, str] | tuple[str, str, str] | None = None
    is_short: bool = False
    is_long: bool = False
    loses_answers: bool = False


WITHOUT_REDIS: Final = ("edge", "fangate_ratelimit_degraded")
RECONNECTED: Final = ("edge", "fangate_bus_reconnects_total")

# -- processes


def killed(service: str) -> Fault:
    async def run(world: World) -> None:
        await world.stack.kill(service)
        await asyncio.sleep(1.0)

    return Fault(f"SIGKILL {service}", run, is_short=True, loses_answers=service == "edge")


def paused(service: str, seconds: float, meanwhile: Meanwhile = Meanwhile.EITHER, *, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        world.stack.send(service, signal.SIGSTOP)
        try:
            await world.last(seconds)
        finally:
            world.stack.send(service, signal.SIGCONT)

    return Fault(f"SIGSTOP {service} {seconds:g} s", run, meanwhile, is_long=is_long)


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
            await world.last(seconds)
        finally:
            world.servers.wire.flow()

    return Fault(f"broker: black hole {seconds:g} s", run, Meanwhile.REFUSED, is_long=is_long)


def broker_away(seconds: float, *, is_short: bool = False, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        await world.servers.broker.kill_node()
        await world.last(seconds)
        await world.servers.broker.start_node()

    shows = ("edge", "fangate_bus_reconnects_total")
    name = f"broker: SIGKILL, away {seconds:g} s"
    return Fault(name, run, Meanwhile.REFUSED, shows=shows, is_short=is_short, is_long=is_long)


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
        await world.last(4.0)
    finally:
        await world.servers.redis.resume()


def redis_away(seconds: float, *, is_short: bool = False, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        await world.servers.redis.kill()
        await world.last(seconds)
        await world.servers.redis.start()

    name = f"Redis: SIGKILL, away {seconds:g} s, back empty"
    return Fault(name, run, Meanwhile.SERVED, shows=WITHOUT_REDIS, is_short=is_short, is_long=is_long)


async def _redis(world: World, work: Callable[["redis.asyncio.Redis"], Awaitable[Any]]) -> None:
    client = redis.asyncio.Redis.from_url(world.servers.redis.url)
    try:
        await work(client)
    finally:
        await client.aclose()
    await asyncio.sleep(0.5)


# -- Postgres


def postgres_away(seconds: float, meanwhile: Meanwhile, *, is_short: bool = False, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        await world.servers.postgres.crash()
        await world.last(seconds)
        await world.servers.postgres.start()

    return Fault(f"Postgres: immediate stop, away {seconds:g} s", run, meanwhile, is_short=is_short, is_long=is_long)


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
            await world.last(3.0)
    finally:
        await connection.close()


# -- the platform


def platform(what: str, *, is_short: bool = False, **fault: Any) -> Fault:
    """The sandbox misbehaves for everybody, for two seconds."""

    async def run(world: World) -> None:
        async with aiohttp.ClientSession(world.stack.sandbox_url) as session:
            async with session.post("/_control/faults", json={"times": 200, **fault}) as answer:
                assert answer.status == 201, await answer.text()
            await asyncio.sleep(2.0)
            async with session.delete("/_control/faults") as answer:
                assert answer.status == 204

    return Fault(f"platform: {what}", run, is_short=is_short)


async def sessions_expired(world: World) -> None:
    async with aiohttp.ClientSession(world.stack.sandbox_url) as session:
        for _ in range(4):
            async with session.post("/_control/expire-sessions") as answer:
                assert answer.status == 200
            await asyncio.sleep(0.4)


FAULTS: tuple[Fault, ...] = (
    killed("billing"),
    Fault("Redis: FLUSHALL", flushed, is_short=True),
    Fault("broker: cut", cut, shows=RECONNECTED, is_short=True),
    killed("edge"),
    postgres_away(3.0, Meanwhile.SERVED, is_short=True),
    Fault(
        "usage repeated, reversed", repeated_usage, shows=("billing", "fangate_ledger_duplicates_total"), is_short=True
    ),
    killed("sessions"),
    redis_away(4.0, is_short=True),
    broker_away(2.0, is_short=True),
    killed("auth"),
    Fault("broker: memory alarm", memory_alarm, Meanwhile.REFUSED, shows=("edge", "fangate_bus_blocked"), is_short=True),
    platform("connection lost after the effect", is_short=True, drop="after"),
    full_queue(
        "ledger queues full", ("billing.ledger.0", "billing.ledger.1"), of="billing",
        shows=("edge", "fangate_usage_records_total", 'outcome="refused"'),
    ),
    full_queue(
        "sessions' queue full", ("sessions.rpc",), of="sessions",
        shows=("edge", "fangate_bus_rpc_total", 'outcome="refused"'),
    ),
    Fault("Redis: SIGSTOP 4 s", redis_paused, Meanwhile.SERVED, shows=WITHOUT_REDIS),
    Fault("Redis: connections cut", redis_cut, shows=("edge", "fangate_redis_reconnects_total")),
    Fault("Redis: SCRIPT FLUSH", scripts_flushed),
    Fault("broker: half-open", half_open, shows=RECONNECTED),
    Fault("broker: three cuts", cut_often, shows=RECONNECTED),
    black_hole(3.0),
    Fault("Postgres: sessions ended", postgres_cut),
    Fault("Postgres: money locked 3 s", organizations_locked, Meanwhile.SERVED),
    paused("auth", 3.0, Meanwhile.SERVED),
    paused("billing", 3.0, Meanwhile.SERVED),
    paused("sessions", 3.0, Meanwhile.REFUSED),
    paused("edge", 3.0),
    paused("sandbox", 3.0, Meanwhile.REFUSED),
    Fault("platform: sessions expire", sessions_expired, shows=("sessions", "fangate_session_refresh_total")),
    platform("no JSON", garbage=True),
    platform("errors 500", status=500),
    platform("answers half", half_body=True),
    platform("slow by 1.5 s", delay_ms=1_500),
    redis_away(PAST_FENCE_S, is_long=True),
    broker_away(PAST_FENCE_S, is_long=True),
    postgres_away(PAST_FENCE_S, Meanwhile.EITHER, is_long=True),
    black_hole(PAST_HEARTBEAT_S, is_long=True),
    paused("edge", PAST_FENCE_S, is_long=True),
    paused("sessions", PAST_FENCE_S, Meanwhile.REFUSED, is_long=True),
    paused("billing", PAST_FENCE_S, is_long=True),
    paused("auth", PAST_HEARTBEAT_S, is_long=True),
    paused("sandbox", PAST_HEARTBEAT_S, Meanwhile.REFUSED, is_long=True),
)  # fmt: skip
