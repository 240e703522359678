"""The runbook entries that can be followed on one machine."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from typing import Any, Final

import aio_pika
import aiohttp
import asyncpg
import msgspec

from deploy.local import ports
from deploy.local.children import Child
from deploy.local.profile import ROOT
from libs.common.contracts.edge import UsageRecorded
from libs.common.contracts.wire import EVENTS
from libs.common.ids import new_key, uuid7
from tests.support.faults.broker_faults import _copies, _send
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.room import Room

_DOWN: Final = 'up{job="fangate"} == 0'


def _consumers_of(queues: str) -> str:
    return f'sum by (queue) (rabbitmq_detailed_queue_consumers{{queue=~"{queues}"}})'


def _ready_in(queues: str) -> str:
    return f'sum by (queue) (rabbitmq_detailed_queue_messages_ready{{queue=~"{queues}"}})'


def _line(line: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {str(line[name])[:90]}" for name in names if name in line) or "no such line"


async def _nothing(_room: Room) -> None:
    """The end of the cause is enough."""


# -- the broker


async def alarm_on(room: Room) -> None:
    await room.servers.broker.alarm(on=True)
    await asyncio.sleep(3)


async def alarm_off(room: Room) -> None:
    await room.servers.broker.alarm(on=False)


async def see_alarm(room: Room) -> str:
    nodes = await room.servers.broker.management._call("GET", "/api/nodes")
    return f"mem_alarm of the node: {nodes[0]['mem_alarm']}; fangate_bus_blocked {await room.figure('max(fangate_bus_blocked)')}"


async def see_unavailable(room: Room) -> str:
    routes = 'topk(2, sum by (route) (rate(fangate_http_requests_total{status_class="5xx",reason="ours"}[1m])))'
    line = room.logged("edge", "request", status=503)
    return f"5xx a second by route: {await room.figure(routes)}; log: {_line(line, 'code', 'detail')}"


async def broker_killed(room: Room) -> None:
    await room.servers.broker.kill_node()
    await asyncio.sleep(1)


async def broker_started(room: Room) -> None:
    await room.servers.broker.start_node()
    await room.stack.until_ready()
    await room.export_broker()


async def outbox_stuck(room: Room) -> None:
    await room.servers.broker.kill_node()
    org = room.campaign.tenants[0].organization.org_id
    command = ("org", "suspend", "--org", org), ("org", "resume", "--org", org)
    for each in command:  # both are committed and cannot be announced
        with contextlib.suppress(Exception):
            await asyncio.wait_for(room.stack.cli("auth", *each), 10)


async def see_outbox(room: Room) -> str:
    rows = await room.owner("SELECT count(*) AS n, min(type) AS type FROM auth.outbox")
    return f"fangate_outbox_oldest_seconds {await room.figure('max by (service) (fangate_outbox_oldest_seconds) > 1')}; auth.outbox holds {rows[0]['n']} ({rows[0]['type']})"


async def see_voids(room: Room) -> str:
    return f"fangate_usage_voids_pending {await room.figure('sum(fangate_usage_voids_pending)')}; bus of the edge: {(await room.readiness('edge')).get('bus', 'ok')[:80]}"


async def _forged(room: Room) -> list[Any]:
    copies = await _copies(room.campaign.world, EVENTS, "edge.usage.#", seconds=1.0)
    return copies[:1]


async def dead_letter(room: Room) -> None:
    """A usage message again, under a login that may not send it: it is put aside; it had its effect already."""
    copies = await _forged(room)
    world = room.campaign.world
    connection = await aio_pika.connect(
        world.servers.without_wire(room.stack.env["FANGATE_AMQP_URL_EDGE"], user="admin")
    )
    async with connection:
        target = await (await connection.channel()).get_exchange(EVENTS, ensure=False)
        for copy in copies:
            for body in (copy.body, b"{not json"):
                again = aio_pika.Message(
                    body, message_id=str(uuid7()), type=copy.type, user_id="admin" if body is copy.body else None,
                    headers=copy.headers, content_type=copy.content_type,
                )  # fmt: skip
                await target.publish(again, routing_key=copy.routing_key)
        room.notes["queues"] = ("billing.ledger.0", "billing.ledger.1")


async def _letters(room: Room) -> list[tuple[str, dict[str, Any]]]:
    return [(queue, line) for queue in room.notes["queues"] for line in await room.tool("list", queue)]


async def see_letters(room: Room) -> str:
    await asyncio.sleep(1)
    found = await _letters(room)
    room.notes["letters"] = found
    shown = [line for queue in {q for q, _ in found} for line in await room.tool("show", queue)]
    said = "; ".join(sorted({f"{line.get('dead-reason')}: {str(line.get('error', ''))[:60]}" for _, line in found}))
    return f"`list`: {len(found)} letters ({said}); `show` gives body and envelope ({len(shown)} lines)"


async def letters_settled(room: Room) -> None:
    before = await room.figure("sum(fangate_ledger_duplicates_total)")
    for queue in {queue for queue, _ in room.notes["letters"]}:
        room.notes["dry"] = await room.tool("replay", queue, "--dry-run", "--by", "drill")
        await room.tool("replay", queue, "--by", "drill")
    await asyncio.sleep(3)
    after = await room.figure("sum(fangate_ledger_duplicates_total)")
    left = await _letters(room)
    for queue in {queue for queue, _ in left}:
        await room.tool("drop", queue, "--by", "drill")
    gone = await _letters(room)
    room.notes["said"] = (
        f"`replay` took {len(room.notes['letters'])}: duplicates absorbed {before} → {after}; "
        f"{len(left)} came back (nobody can read it) and were dropped; left: {len(gone)}"
    )


async def queue_grows(room: Room) -> None:
    """Billing is frozen, and what was recorded is sent again, thousands of times."""
    copies = await _copies(room.campaign.world, EVENTS, "edge.usage.#", seconds=2.0)
    room.stack.send("billing", signal.SIGSTOP)
    many = (copies * (6_000 // max(1, len(copies)) + 1))[:6_000]
    same_queue = [copy for copy in many if copy.routing_key == many[0].routing_key] * 6
    await _send(room.campaign.world, EVENTS, same_queue[:6_000])


async def see_queues(room: Room) -> str:
    ready = f"topk(2, {_ready_in('billing.*|sessions.*|takedowns.*|auth.*')})"
    return f"messages waiting: {await room.figure(ready)}; consumers: {await room.figure(_consumers_of('billing.ledger.*'))}"


def thaw(service: str) -> Any:
    async def go_on(room: Room) -> None:
        room.stack.send(service, signal.SIGCONT)
        await room.stack.until_ready()

    return go_on


# -- processes


def freeze(service: str, seconds: float = 0.0) -> Any:
    async def stop(room: Room) -> None:
        room.stack.send(service, signal.SIGSTOP)
        await asyncio.sleep(seconds)

    return stop


async def debits_late(room: Room) -> None:
    room.stack.send("billing", signal.SIGSTOP)
    await asyncio.sleep(9)
    room.stack.send("billing", signal.SIGCONT)


async def keep_killing(room: Room) -> None:
    async def kill() -> None:
        for _ in range(4):
            killed = False
            while not killed:
                with contextlib.suppress(KeyError, AssertionError):
                    room.stack.send("sessions", signal.SIGKILL)
                    killed = True
                await asyncio.sleep(0.2)

    room.notes["killing"] = asyncio.create_task(kill())


async def stop_killing(room: Room) -> None:
    room.notes["killing"].cancel()
    await room.stack.until_ready()


async def see_gone(room: Room) -> str:
    up = await room.figure(_DOWN)
    try:
        ready = str(await room.readiness("sessions") or "ready")
    except (aiohttp.ClientError, TimeoutError) as exc:
        ready = f"no answer ({type(exc).__name__})"
    return f"up == 0: {up}; /readyz of sessions: {ready}; queue {await room.figure(_consumers_of('sessions.rpc'))}"


async def see_frozen(room: Room) -> str:
    return f"up == 0: {await room.figure(_DOWN)}; the process is there and does not answer"


async def stutter(room: Room) -> None:
    for _ in range(6):
        room.stack.send("sessions", signal.SIGSTOP)
        await asyncio.sleep(1.0)
        room.stack.send("sessions", signal.SIGCONT)
        await asyncio.sleep(0.7)


async def see_overhead(room: Room) -> str:
    late = 'sum(rate(fangate_bus_queue_wait_seconds_sum{queue="sessions.rpc"}[1m])) / sum(rate(fangate_bus_queue_wait_seconds_count{queue="sessions.rpc"}[1m]))'
    return f"mean wait in sessions.rpc: {await room.figure(late)} s; event loop lag {await room.figure('max by (service) (fangate_eventloop_lag_seconds) > 0.05')}"


async def late_loop(room: Room) -> None:
    for _ in range(3):
        room.stack.send("auth", signal.SIGSTOP)
        await asyncio.sleep(2.5)
        room.stack.send("auth", signal.SIGCONT)
        await asyncio.sleep(0.6)


async def see_tasks(room: Room) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{room.stack.admin_urls['auth']}/debug/tasks") as answer,
    ):
        tasks = (await answer.text()).splitlines()
    return f"/debug/tasks: {len(tasks) - 1} tasks, each with its place in the code"


async def second_version(room: Room) -> None:
    (port,) = ports.pick(1)
    code = "import runpy, libs.common.process as p; p._version = lambda: 'drill'; runpy.run_module('services.auth', run_name='__main__')"
    env = {"PATH": os.environ["PATH"], **room.stack.env, "FANGATE_ADMIN_PORT_AUTH": str(port)}
    child = Child.spawn(
        "auth-new", [sys.executable, "-c", code], env=env, log=room.stack.folder / "log" / "auth-new.log", cwd=ROOT
    )
    room.notes["child"] = child
    room.others.write_text(
        json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"service": "auth"}}]), encoding="utf-8"
    )


async def end_second_version(room: Room) -> None:
    await room.notes["child"].stop(signal.SIGTERM, grace_s=30)
    room.others.write_text("[]", encoding="utf-8")


async def see_versions(room: Room) -> str:
    return f"fangate_build_info: {await room.figure('count by (version) (fangate_build_info)')}; /readyz of the new one would name what it misses"


async def timer_fails(room: Room) -> None:
    await room.owner("ALTER TABLE takedowns.batch_refunds RENAME TO batch_refunds_gone")


async def timer_works(room: Room) -> None:
    await room.owner("ALTER TABLE takedowns.batch_refunds_gone RENAME TO batch_refunds")
    await room.stack.kill("takedowns")
    await room.stack.until_ready()


async def see_timer(room: Room) -> str:
    failed = 'sum by (timer) (increase(fangate_timer_runs_total{outcome="failed"}[1m])) > 0'
    return f"failures: {await room.figure(failed)}; log: {_line(room.logged('takedowns', 'timer failed'), 'event', 'timer')}"


# -- PostgreSQL and Redis


async def postgres_away(room: Room) -> None:
    await room.servers.postgres.crash()
    await asyncio.sleep(2)
    path = "/api/models/{model}/chats/1001/messages"
    room.notes["status"] = await room.call(path, method="POST", **{"Idempotency-Key": str(uuid7())})


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
    connection = await asyncpg.connect(
        room.servers.postgres.dsn.rpartition("/")[0]
        + "/"
        + room.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"].rpartition("/")[2]
    )
    await connection.execute("BEGIN; LOCK TABLE sessions.upstream_calls IN ACCESS EXCLUSIVE MODE")
    room.notes["lock"] = connection
    room.notes["burst"] = asyncio.ensure_future(room.campaign.world.burst(80))


async def see_locks(room: Room) -> str:
    rows = await room.owner(
        "SELECT count(*) AS n, (SELECT left(query, 60) FROM pg_stat_activity WHERE pid = any(pg_blocking_pids(max(a.pid)))) AS by"
        " FROM pg_stat_activity a WHERE wait_event_type = 'Lock' AND usename = 'sessions_app'"
    )
    return f"fangate_pg_pool_waiting {await room.figure('max by (service) (fangate_pg_pool_waiting) > 0')}; pg_stat_activity: {rows[0]['n']} sessions of sessions_app wait for a lock held by «{rows[0]['by']}»"


async def end_lock(room: Room) -> None:
    """What blocks is ended, as an operator would: by its pid."""
    await room.owner("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE%'")
    with contextlib.suppress(Exception):
        await room.notes["lock"].close()
    await room.notes["burst"]


# -- money

_BUCKET: Final = "(SELECT id FROM billing.accounts WHERE org_id = $1 AND closed_at IS NULL ORDER BY id LIMIT 1)"


def _org(room: Room) -> Any:
    return uuid.UUID(room.campaign.tenants[1].organization.org_id)


async def drift(room: Room) -> None:
    await room.owner(f"UPDATE billing.accounts SET credits = credits + 5 WHERE id = {_BUCKET}", _org(room))


async def no_drift(room: Room) -> None:
    await room.owner(f"UPDATE billing.accounts SET credits = credits - 5 WHERE id = {_BUCKET}", _org(room))


async def see_verify(room: Room) -> str:
    try:
        said = await room.stack.cli("billing", "verify")
    except Exception as exc:  # exit status 1: the books are wrong
        text = str(exc)
        named = str(_org(room)) in text
        return (
            f"`verify` ends with status 1 and {'names' if named else 'does not name'} the organization: {text[-260:]}"
        )
    return f"`verify`: {str(said)[:200]}"


async def rule_broken(room: Room) -> None:
    rows = await room.owner(
        "UPDATE billing.leases SET posted = posted + 1, amount = amount + 1 WHERE id ="
        " (SELECT id FROM billing.leases WHERE state = 3 ORDER BY id DESC LIMIT 1) RETURNING id"
    )
    room.notes["lease"] = rows[0]["id"]


async def rule_holds(room: Room) -> None:
    await room.owner(
        "UPDATE billing.leases SET posted = posted - 1, amount = amount - 1 WHERE id = $1", room.notes["lease"]
    )


async def see_rule(room: Room) -> str:
    return f"fangate_ledger_lease_mismatch {await room.figure('max(fangate_ledger_lease_mismatch)')}; log: {_line(room.logged('billing', 'the books do not balance'), 'event', 'drift_credits', 'seals')}; {await see_verify(room)}"


async def no_room(room: Room) -> None:
    """The months ahead are dropped (they are empty), and the function that makes them is out of the timer's reach."""
    months = await room.owner(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'billing.transfers'::regclass ORDER BY 1 DESC LIMIT 3"
    )
    await room.owner("ALTER FUNCTION billing.ensure_partitions RENAME TO ensure_partitions_gone")
    for row in months:
        await room.owner(f'DROP TABLE billing."{row["relname"]}"')
    await room.stack.kill("billing")
    await room.stack.until_ready()


async def room_again(room: Room) -> None:
    await room.owner("ALTER FUNCTION billing.ensure_partitions_gone RENAME TO ensure_partitions")
    await room.owner("SELECT billing.ensure_partitions(3)")
    await room.stack.kill("billing")
    await room.stack.until_ready()


async def see_partitions(room: Room) -> str:
    return f"fangate_ledger_partitions_ahead {await room.figure('max(fangate_ledger_partitions_ahead)')}; log: {_line(room.logged('billing', 'timer failed', timer='partitions'), 'event', 'timer')}"


async def _altered(room: Room, change: Any) -> None:
    copies = await _copies(room.campaign.world, EVENTS, "edge.usage.#", seconds=1.0)
    for copy in copies[:8]:
        usage = msgspec.json.decode(copy.body, type=UsageRecorded)
        altered = tuple(change(record) for record in usage.records)
        copy.body = msgspec.json.encode(msgspec.structs.replace(usage, records=altered))
        copy.message_id = str(uuid7())
    await _send(room.campaign.world, EVENTS, copies[:8])


async def other_payload(room: Room) -> None:
    await asyncio.sleep(1)
    await _altered(room, lambda record: msgspec.structs.replace(record, cost=record.cost + 1))


async def see_post_errors(room: Room) -> str:
    rows = await room.owner("SELECT reason, count(*) AS n FROM billing.post_errors GROUP BY 1")
    said = ", ".join(f"{row['n']} of {row['reason']}" for row in rows)
    return f"`SELECT … FROM billing.post_errors`: {said or 'empty'}"


async def post_errors_seen_to(room: Room) -> None:
    """A drill's own rows, which no cause will ever heal: as the owner, after they were read."""
    await room.owner("DELETE FROM billing.post_errors WHERE reason = 'exists_with_different_payload'")


async def overdrawn(room: Room) -> None:
    """Calls that nobody admitted, far beyond their lease."""
    await _altered(room, lambda record: msgspec.structs.replace(record, id=uuid7(), cost=5_000))


async def see_waived(room: Room) -> str:
    waived = await room.figure("sum by (reason) (fangate_waived_credits_total) > 0")
    return f"fangate_waived_credits_total: {waived}; fangate_lease_overdraw_total {await room.figure('sum(fangate_lease_overdraw_total)')}; {await see_verify(room)}"


# -- platforms, takedowns, callers


async def platform_fails(room: Room) -> None:
    async with aiohttp.ClientSession(room.stack.sandbox_url) as session:
        async with session.post("/_control/faults", json={"status": 500}) as answer:
            assert answer.status == 201


async def platform_works(room: Room) -> None:
    async with aiohttp.ClientSession(room.stack.sandbox_url) as session, session.delete("/_control/faults") as answer:
        assert answer.status == 204


async def see_platform(room: Room) -> str:
    return f"a second, by outcome: {await room.figure('sum by (outcome) (rate(fangate_upstream_duration_seconds_count[1m])) > 0')}"


async def sessions_overdue(room: Room) -> None:
    """Sessions that should have been renewed, and that nobody takes up."""
    await room.owner(
        "UPDATE sessions.models SET refresh_due_at = now() - interval '1 day', claimed_until = now() + interval '1 hour'"
        " WHERE state = 'connected'"
    )


async def sessions_renewed(room: Room) -> None:
    await room.owner("UPDATE sessions.models SET claimed_until = NULL")
    await asyncio.sleep(20)


async def see_overdue(room: Room) -> str:
    return f"fangate_session_refreshes_overdue {await room.figure('max(fangate_session_refreshes_overdue)')}; fangate_session_refresh_total {await room.figure('sum by (outcome) (fangate_session_refresh_total)')}; in sessions.jobs {await room.figure(_ready_in('sessions.jobs'))}"


async def half_way(room: Room) -> None:
    """A submission whose batch was opened and that nobody went on with."""
    rows = await room.owner("SELECT * FROM takedowns.batches ORDER BY created_at DESC LIMIT 1")
    columns = list(rows[0])
    await room.owner(
        f"INSERT INTO takedowns.batches ({', '.join(columns)}) SELECT (jsonb_populate_record(b, $1::jsonb)).* FROM"
        " takedowns.batches b ORDER BY created_at DESC LIMIT 1",
        json.dumps({"id": str(uuid7()), "status": "leasing"}),
    )


async def see_half_way(room: Room) -> str:
    return f"fangate_takedowns_batches_leasing {await room.figure('max(fangate_takedowns_batches_leasing)')}; settled {await room.figure('sum(fangate_takedowns_batches_settled_total)')}"


async def half_way_settled(room: Room) -> None:
    await room.stack.kill("takedowns")
    await room.stack.until_ready()


async def keys_guessed(room: Room) -> None:
    async with aiohttp.ClientSession(room.stack.url) as guesser:
        for _ in range(12):
            for _ in range(
                10
            ):  # ten unknown keys block an address; a block is lifted by the drill, not to wait for hours
                async with guesser.get("/api/whoami", headers={"X-API-Key": new_key("fgk_")}) as answer:
                    room.notes["guess"] = answer.status
            await _lift_blocks(room)


async def _lift_blocks(room: Room) -> None:
    await room.stack.flush_redis()
    await room.stack.kill("edge")  # each edge remembers its blocks
    await room.stack.until_ready()


async def see_guesses(room: Room) -> str:
    outcomes = 'sum by (outcome) (increase(fangate_auth_total{outcome!="ok"}[10m])) > 0'
    return f"the guesser's last answer {room.notes['guess']}; fangate_auth_total {await room.figure(outcomes)}; a good key from the same address reads {await room.call('/api/whoami')}"


async def waits_ignored(room: Room) -> None:
    slow = await room.stack.an_organization(credits=100, per_minute=1)
    room.notes["slow"] = slow
    async with aiohttp.ClientSession(room.stack.url, headers={"X-API-Key": slow.key}) as caller:
        for _ in range(330):
            async with caller.get(f"/api/models/{slow.model_id}/chats") as answer:
                room.notes["last"] = answer.status


async def see_ignored(room: Room) -> str:
    line = room.logged("edge", "a key ignores Retry-After")
    spent = await room.call("/api/usage?by=key", key=room.notes["slow"].key)
    return f"its last answer {room.notes['last']}; log: {_line(line, 'event', 'key_id', 'org_id')}; `GET /api/usage?by=key` {spent}"


async def key_revoked(room: Room) -> None:
    line = room.logged("edge", "a key ignores Retry-After")
    await room.stack.cli("auth", "key", "revoke", "--org", line["org_id"], "--key-id", line["key_id"])
    room.notes["said"] = f"the key then reads {await room.call('/api/whoami', key=room.notes['slow'].key)}"


async def many_refusals(room: Room) -> None:
    limited = room.campaign.tenants[0].organization.limited_key
    room.notes["refusing"] = asyncio.create_task(_refused_for_a_while(room, limited))


async def _refused_for_a_while(room: Room, key: str) -> None:
    model = room.campaign.tenants[0].organization.model_id
    async with aiohttp.ClientSession(room.stack.url, headers={"X-API-Key": key}) as caller:
        for _ in range(6_000):
            async with caller.post(f"/api/models/{model}/chats/1001/messages", json={"text": "x"}) as answer:
                if answer.status == 429:
                    return


async def see_refusals(room: Room) -> str:
    line = room.logged("edge", "request", code="PERMISSION_DENIED")
    return f"a second: {await room.figure('sum by (code) (rate(fangate_refusals_total[1m])) > 0.5')}; log: {_line(line, 'code', 'route', 'key_id')}"


async def refusals_end(room: Room) -> None:
    await room.notes["refusing"]


# In this order: those that need the database to have lived come after those that crash it.
DRILLS: Final = (
    Drill(entry="FangateCheckFails", caused_by="PostgreSQL stopped at once", cause=postgres_away, look=see_checks, done="PostgreSQL started", safe=postgres_back),
    Drill(entry="FangateAnswersNotKept", caused_by="the same, and a call under an Idempotency-Key", cause=postgres_away, look=see_answers, done="PostgreSQL started", safe=postgres_back, window="10 min"),
    Drill(entry="FangateBrokerBlocked", caused_by="memory alarm in RabbitMQ", cause=alarm_on, look=see_alarm, done="memory limit raised", safe=alarm_off),
    Drill(entry="FangateAvailability", alert="FangateAvailabilityBurns", caused_by="memory alarm in RabbitMQ", cause=alarm_on, look=see_unavailable, done="memory limit raised", safe=alarm_off, window="5 min and 1 h"),
    Drill(entry="FangateAdmissionDegraded", caused_by="Redis killed", cause=redis_away, look=see_degraded, done="Redis started, empty", safe=redis_back),
    Drill(entry="FangateRedisRefused", caused_by="Redis killed", cause=redis_away, look=see_degraded, done="Redis started, empty", safe=redis_back),
    Drill(entry="FangatePostgresPoolShort", caused_by="a transaction that holds a table of sessions", cause=lock_held, look=see_locks, done="ended by its pid", safe=end_lock),
    Drill(entry="FangateProcessDown", caused_by="billing frozen (SIGSTOP)", cause=freeze("billing", 2.0), look=see_frozen, done="the process goes on", safe=thaw("billing")),
    Drill(entry="FangateDebits", alert="FangateDebitsBurns", caused_by="billing frozen for 9 s", cause=debits_late, look=see_queues, done="nothing: it has caught up by itself", safe=_nothing, window="5 min and 1 h"),
    Drill(entry="FangateServiceDown", caused_by="sessions killed, again and again", cause=keep_killing, look=see_gone, done="left to its supervisor, which started it", safe=stop_killing),
    Drill(entry="FangateQueueWithoutConsumers", caused_by="sessions killed, again and again", cause=keep_killing, look=see_gone, done="left to its supervisor, which started it", safe=stop_killing),
    Drill(entry="FangateOverhead", alert="FangateOverheadBurns", caused_by="sessions stops for 1 s, six times", cause=stutter, look=see_overhead, done="nothing more", safe=_nothing, window="5 min and 1 h"),
    Drill(entry="FangateEventLoopLag", caused_by="auth stops for 2.5 s, three times", cause=late_loop, look=see_tasks, done="nothing more", safe=_nothing),
    Drill(entry="FangateVersionsMixed", caused_by="a second auth of another version", cause=second_version, look=see_versions, done="the rollout undone", safe=end_second_version),
    Drill(entry="FangateTimerFails", caused_by="a table of takedowns renamed", cause=timer_fails, look=see_timer, done="the table's name restored, takedowns restarted", safe=timer_works, window="30 min"),
    Drill(entry="FangateLedgerDrift", caused_by="5 credits added to a stored balance by hand", cause=drift, look=see_verify, done="the change undone (a drill may: it knows what it did)", safe=no_drift),
    Drill(entry="FangateLedgerRuleBroken", caused_by="a lease's posted credits changed by hand", cause=rule_broken, look=see_rule, done="the change undone", safe=rule_holds),
    Drill(entry="FangateLedgerPartitionsMissing", caused_by="the months ahead dropped, their timer failing", cause=no_room, look=see_partitions, done="`SELECT billing.ensure_partitions(3)` as the owner, billing restarted", safe=room_again),
    Drill(entry="FangateLedgerPostErrors", caused_by="usage under known ids with another price", cause=other_payload, look=see_post_errors, done="read; the drill's rows removed by the owner", safe=post_errors_seen_to),
    Drill(entry="FangateLeaseOverdrawn", caused_by="usage far beyond its lease, sent as the edge", cause=overdrawn, look=see_waived, done="nothing: it is not billed", safe=_nothing, window="30 min"),
    Drill(entry="FangateQueueGrows", caused_by="billing frozen, 6,000 usage messages sent again", cause=queue_grows, look=see_queues, done="billing goes on; all absorbed as duplicates", safe=thaw("billing")),
    Drill(entry="FangateDeadLetters", caused_by="usage under a login that may not send it, and one that is no JSON", cause=dead_letter, look=see_letters, done="replayed, then dropped", safe=letters_settled),
    Drill(entry="FangatePlatformFails", caused_by="the sandbox answers 500", cause=platform_fails, look=see_platform, done="waited", safe=platform_works, window="5 min"),
    Drill(entry="FangateSessionsOverdue", caused_by="renewals due a day ago and claimed by nobody who lives", cause=sessions_overdue, look=see_overdue, done="claims ended; renewed by themselves", safe=sessions_renewed),
    Drill(entry="FangateSessions", alert="FangateSessionsBurns", caused_by="the same", cause=sessions_overdue, look=see_overdue, done="claims ended; renewed by themselves", safe=sessions_renewed, window="5 min and 1 h"),
    Drill(entry="FangateKeyMisused", caused_by="330 calls of a key that was told to wait", cause=waits_ignored, look=see_ignored, done="`key revoke`", safe=key_revoked, window="1 h"),
    Drill(entry="FangateRefusalsMany", caused_by="a key tries a right that it has not", cause=many_refusals, look=see_refusals, done="nothing: it is given nothing, and its window is used up", safe=refusals_end, window="10 min"),
    Drill(entry="FangateKeysGuessed", caused_by="unknown keys, until the address was blocked twelve times", cause=keys_guessed, look=see_guesses, done="nothing: blocked", safe=_nothing, window="30 min"),
    Drill(entry="FangateVoidsPending", caused_by="RabbitMQ killed under load", cause=broker_killed, look=see_voids, done="RabbitMQ started before any edge was stopped", safe=broker_started),
    Drill(entry="FangateOutboxStuck", caused_by="RabbitMQ killed, an organization suspended and resumed meanwhile", cause=outbox_stuck, look=see_outbox, done="RabbitMQ started", safe=broker_started),
    Drill(entry="FangateSubmissionsHalfWay", caused_by="a batch that holds its credits and that nobody goes on with", cause=half_way, look=see_half_way, done="takedowns restarted; the sweeper settles it", safe=half_way_settled),
)  # fmt: skip
