"""Entries about the bus: the broker, its queues, dead letters."""

import asyncio
import contextlib
import signal
from typing import Any, Final

import aio_pika

from libs.common.contracts.wire import COMMANDS, EVENTS
from libs.common.ids import new_key, uuid7
from tests.support.faults.broker_faults import _copies, _send
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.looking import consumers_of, line_of, ready_in, usage_of
from tests.support.runbooks.room import Room

LEDGER_QUEUES: Final = ("billing.ledger.0", "billing.ledger.1")


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
    return f"5xx a second by route: {await room.figure(routes)}; log: {line_of(line, 'code', 'detail')}"


async def ledger_queues_stop(room: Room) -> None:
    """The ledger's queues take messages and confirm none, as without a majority of their replicas; all others work. So calls are
    carried out and nobody knows whether they are recorded. Their fence passes, 35 s after their admission.
    """
    await _ledger_queues(room, "suspend")


async def ledger_queues_go_on(room: Room) -> None:
    await _ledger_queues(room, "resume")
    await room.stack.until_ready()


async def _ledger_queues(room: Room, what: str) -> None:
    names = ", ".join(f"'{room.campaign.world.vhost}_{queue}'" for queue in LEDGER_QUEUES)
    await room.broker_control("rabbitmqctl", "eval", f"[sys:{what}(Name) || Name <- [{names}]].")


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
    line = room.logged("edge", "request", status=503)
    return f"fangate_usage_voids_pending {await room.figure('sum(fangate_usage_voids_pending)')}; bus of the edge: {(await room.readiness('edge')).get('bus', 'ok')[:80]}; log: {line_of(line, 'code', 'detail')}"


async def dead_letter(room: Room) -> None:
    """A usage message again, under a login that may not send it: it is put aside; it had its effect already."""
    copies = (await usage_of(room))[:1]
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
        room.notes["queues"] = LEDGER_QUEUES


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
    copies = await usage_of(room)
    room.stack.send("billing", signal.SIGSTOP)
    await _send(room.campaign.world, EVENTS, copies[:1] * 5_600)


async def calls_pile_up(room: Room) -> None:
    """Auth is frozen, and the question whose key that is is asked again, thousands of times."""
    spying = asyncio.create_task(_copies(room.campaign.world, COMMANDS, "auth.rpc.key.#"))
    await asyncio.sleep(1)
    await room.call("/api/whoami", key=new_key("fgk_"))
    copies = await spying
    room.stack.send("auth", signal.SIGSTOP)
    await _send(room.campaign.world, COMMANDS, copies[:1] * 4_100)


async def see_calls(room: Room) -> str:
    return f"messages waiting: {await room.figure(ready_in('auth.rpc'))}; consumers: {await room.figure(consumers_of('auth.rpc'))}; a known key reads {await room.call('/api/whoami')}"


async def see_queues(room: Room) -> str:
    ready = f"topk(2, {ready_in('billing.*|sessions.*|takedowns.*|auth.*')})"
    return f"messages waiting: {await room.figure(ready)}; consumers: {await room.figure(consumers_of('billing.ledger.*'))}"


def thaw(service: str) -> Any:
    async def go_on(room: Room) -> None:
        room.stack.send(service, signal.SIGCONT)
        await room.stack.until_ready()

    return go_on


OF_QUEUES: Final = (
    Drill(entry="FangateBrokerBlocked", caused_by="memory alarm in RabbitMQ", cause=alarm_on, look=see_alarm, done="memory limit raised", safe=alarm_off),
    Drill(entry="FangateAvailability", alert="FangateAvailabilityBurns", caused_by="memory alarm in RabbitMQ", cause=alarm_on, look=see_unavailable, done="memory limit raised", safe=alarm_off, window="5 min and 1 h"),
    Drill(entry="FangateQueueGrows", caused_by="billing frozen, a usage message sent 5,600 times", cause=queue_grows, look=see_queues, done="billing goes on; all absorbed as duplicates", safe=thaw("billing")),
    Drill(entry="FangateQueueNearlyFull", caused_by="auth frozen, a question for it asked 4,100 times", cause=calls_pile_up, look=see_calls, done="auth goes on; nobody waits for those answers any more, and they are dropped", safe=thaw("auth")),
    Drill(entry="FangateDeadLetters", caused_by="usage under a login that may not send it, and one that is no JSON", cause=dead_letter, look=see_letters, done="replayed, then dropped", safe=letters_settled),
    Drill(entry="FangateVoidsPending", caused_by="the ledger's queues confirm nothing, as without a majority", cause=ledger_queues_stop, look=see_voids, done="the queues go on, before any edge was stopped", safe=ledger_queues_go_on),
    Drill(entry="FangateOutboxStuck", caused_by="RabbitMQ killed, an organization suspended and resumed meanwhile", cause=outbox_stuck, look=see_outbox, done="RabbitMQ started", safe=broker_started),
)  # fmt: skip
