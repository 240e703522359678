"""All that is done to a running system, fault by fault: each breaks one thing, waits, and mends it. Here those of processes,
their clocks, Redis and the platform; the broker's and PostgreSQL's have files of their own.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import redis.asyncio

from tests.support.faults import clocks
from tests.support.faults.broker_faults import BROKER_FAULTS
from tests.support.faults.postgres_faults import POSTGRES_FAULTS
from tests.support.faults.world import PAST_FENCE_S, PAST_HEARTBEAT_S, Fault, Meanwhile, World

WITHOUT_REDIS: Final = ("edge", "fangate_ratelimit_degraded")
REDIS_RECONNECTED: Final = ("edge", "fangate_redis_reconnects_total")

# -- processes


def killed(service: str) -> Fault:
    async def run(world: World) -> None:
        await world.stack.kill(service)
        await asyncio.sleep(1.0)

    started = (service, "process_start_time_seconds")
    return Fault(f"SIGKILL {service}", run, shows=started, is_short=True, loses_answers=service == "edge")


def paused(
    service: str,
    seconds: float,
    meanwhile: Meanwhile = Meanwhile.EITHER,
    *,
    is_short: bool = False,
    is_long: bool = False,
) -> Fault:
    async def run(world: World) -> None:
        world.stack.send(service, signal.SIGSTOP)
        try:
            await world.last(seconds)
        finally:
            world.stack.send(service, signal.SIGCONT)

    return Fault(f"SIGSTOP {service} {seconds:g} s", run, meanwhile, is_short=is_short, is_long=is_long)


def clock_off(service: str, seconds: float) -> Fault:
    """The service's wall clock jumps, stays off for a while, and jumps back."""

    async def run(world: World) -> None:
        clocks.set_clock(world.clocks, service, seconds)
        try:
            await world.last(4.0)
        finally:
            clocks.set_clock(world.clocks, service, 0)
            await asyncio.sleep(clocks.NOTICED_SECONDS + 0.5)

    return Fault(f"clock of {service} {seconds:+g} s", run, needs=lambda _: clocks.library() is not None)


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


async def redis_half_open(world: World) -> None:
    world.servers.redis_wire.cut_client_side()
    await asyncio.sleep(1.0)


async def redis_replica_promoted(world: World) -> None:
    """A replica that is a second behind takes over: it knows credits that were spent since."""
    servers = world.servers
    await servers.redis.promote_replica(behind_s=1.0)
    servers.redis_wire.redirect(servers.redis.port)
    servers.redis_wire.cut()
    await asyncio.sleep(1.0)


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
    killed("edge"),
    killed("sessions"),
    killed("auth"),
    killed("takedowns"),
    Fault("Redis: FLUSHALL", flushed, is_short=True),
    redis_away(4.0, is_short=True),
    redis_away(PAST_FENCE_S, is_long=True),
    Fault("Redis: SIGSTOP 4 s", redis_paused, Meanwhile.SERVED, shows=WITHOUT_REDIS),
    Fault("Redis: connections cut", redis_cut, shows=REDIS_RECONNECTED, is_short=True),
    Fault("Redis: half-open", redis_half_open, shows=REDIS_RECONNECTED),
    Fault("Redis: stale replica promoted", redis_replica_promoted, shows=REDIS_RECONNECTED),
    Fault("Redis: SCRIPT FLUSH", scripts_flushed),
    *BROKER_FAULTS,
    *POSTGRES_FAULTS,
    paused("auth", 3.0, Meanwhile.SERVED, is_short=True),
    paused("billing", 3.0, Meanwhile.SERVED, is_short=True),
    paused("sessions", 3.0, Meanwhile.REFUSED, is_short=True),
    paused("takedowns", 3.0, Meanwhile.SERVED),
    paused("edge", 3.0),
    paused("sandbox", 3.0, Meanwhile.REFUSED),
    paused("edge", PAST_FENCE_S, is_long=True),
    paused("sessions", PAST_FENCE_S, Meanwhile.REFUSED, is_long=True),
    paused("billing", PAST_FENCE_S, is_long=True),
    paused("auth", PAST_HEARTBEAT_S, is_long=True),
    paused("sandbox", PAST_HEARTBEAT_S, Meanwhile.REFUSED, is_long=True),
    *(clock_off(service, seconds) for service in ("edge", "billing", "sessions", "auth") for seconds in (5.0, -5.0)),
    platform("connection lost after the effect", is_short=True, drop="after"),
    platform("no JSON", garbage=True),
    platform("errors 500", status=500),
    platform("answers half", half_body=True),
    platform("slow by 1.5 s", delay_ms=1_500),
    Fault("platform: sessions expire", sessions_expired, shows=("sessions", "fangate_session_refresh_total")),
)
