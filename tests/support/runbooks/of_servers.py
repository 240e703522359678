"""Entries about PostgreSQL and Redis."""

import asyncio
from typing import Final

from libs.common.ids import uuid7
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.left_open import end_left_open, leave_open
from tests.support.runbooks.room import Room


async def postgres_away(room: Room) -> None:
    await room.servers.postgres.crash()


async def answers_away(room: Room) -> None:
    """A customer at work meets it: an edge that knows no caller yet is refused by auth, before it looks for an answer."""
    async with asyncio.timeout(CALLER_KNOWN_SECONDS_MAX):
        while await keyed_call(room) != 201:
            await asyncio.sleep(0.2)
    await postgres_away(room)
    for _ in range(10):
        room.notes["status"] = await keyed_call(room)


async def keyed_call(room: Room) -> int:
    path = "/api/models/{model}/chats/1001/messages"
    return await room.call(path, method="POST", **{"Idempotency-Key": str(uuid7())})


async def postgres_back(room: Room) -> None:
    await room.servers.postgres.start()
    await room.stack.until_ready()


async def see_checks(room: Room) -> str:
    checks = await room.readiness("billing")
    return f"/readyz of billing: {str(checks)[:160]}"


async def see_answers(room: Room) -> str:
    outcomes = 'sum by (outcome) (increase(fangate_idempotency_claims_total{outcome="unavailable"}[10m])) > 0'
    return f"a keyed call read {room.notes['status']}; claims {await room.figure(outcomes)}"


async def redis_away(room: Room) -> None:
    await room.servers.redis.kill()
    await asyncio.sleep(3)


async def redis_back(room: Room) -> None:
    await room.servers.redis.start()


async def see_degraded(room: Room) -> str:
    answers = room.campaign.world.answers()
    return f"fangate_ratelimit_degraded {await room.figure('sum(fangate_ratelimit_degraded)')}, fangate_redis_breaker_open {await room.figure('max by (service) (fangate_redis_breaker_open)')}; calls go on ({answers[200] + answers[201]} answered 2xx so far)"


async def lock_held(room: Room) -> None:
    await leave_open(room, "BEGIN; LOCK TABLE sessions.upstream_calls IN ACCESS EXCLUSIVE MODE")
    room.notes["burst"] = asyncio.ensure_future(room.campaign.world.burst(80))


async def see_locks(room: Room) -> str:
    rows = await room.owner(
        "SELECT count(*) AS n, (SELECT left(query, 60) FROM pg_stat_activity WHERE pid = any(pg_blocking_pids(max(a.pid)))) AS by"
        " FROM pg_stat_activity a WHERE wait_event_type = 'Lock' AND usename = 'sessions_app'"
    )
    return f"fangate_pg_pool_waiting {await room.figure('max by (service) (fangate_pg_pool_waiting) > 0')}; pg_stat_activity: {rows[0]['n']} sessions of sessions_app wait for a lock held by «{rows[0]['by']}»"


async def end_lock(room: Room) -> None:
    await end_left_open(room)
    await room.notes["burst"]


CALLER_KNOWN_SECONDS_MAX: Final = 60.0  # after whatever the drill before this one did

OF_SERVERS: Final = (
    Drill(entry="FangateCheckFails", caused_by="PostgreSQL stopped at once", cause=postgres_away, look=see_checks, done="PostgreSQL started", safe=postgres_back),
    Drill(entry="FangateAnswersNotKept", caused_by="the same, under calls with an Idempotency-Key", cause=answers_away, look=see_answers, done="PostgreSQL started", safe=postgres_back, window="10 min"),
    Drill(entry="FangateAdmissionDegraded", caused_by="Redis killed", cause=redis_away, look=see_degraded, done="Redis started, empty", safe=redis_back),
    Drill(entry="FangateRedisRefused", caused_by="Redis killed", cause=redis_away, look=see_degraded, done="Redis started, empty", safe=redis_back),
    Drill(entry="FangatePostgresPoolShort", caused_by="a transaction that holds a table of sessions", cause=lock_held, look=see_locks, done="ended by its pid", safe=end_lock),
)  # fmt: skip
