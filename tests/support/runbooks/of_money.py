"""Entries about the books."""

import asyncio
import json
import os
import signal
import sys
import uuid
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import msgspec

from deploy.local import ports
from deploy.local.children import Child
from deploy.local.profile import ROOT
from libs.common.contracts.edge import UsageRecorded
from libs.common.contracts.wire import EVENTS
from libs.common.ids import uuid7
from tests.support.faults.broker_faults import _send
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.left_open import end_left_open, leave_open
from tests.support.runbooks.looking import line_of, nothing, usage_of
from tests.support.runbooks.of_queues import ledger_queues_go_on, ledger_queues_stop
from tests.support.runbooks.room import Room

_PROPERTIES: Final = (
    "routing_key", "type", "app_id", "user_id", "timestamp", "content_type", "headers", "correlation_id", "delivery_mode", "reply_to",
)  # fmt: skip
_BUCKET: Final = "(SELECT id FROM billing.accounts WHERE org_id = $1 AND closed_at IS NULL ORDER BY id LIMIT 1)"


def _org(room: Room) -> Any:
    return uuid.UUID(room.campaign.tenants[1].organization.org_id)


async def drift(room: Room) -> None:
    await room.owner(f"UPDATE billing.accounts SET credits = credits + 5 WHERE id = {_BUCKET}", _org(room))


async def no_drift(room: Room) -> None:
    await room.owner(f"UPDATE billing.accounts SET credits = credits - 5 WHERE id = {_BUCKET}", _org(room))


async def see_verify(room: Room) -> str:
    status, said = await room.verify()
    return f"`verify`: exit status {status}, {said.get('result')}; the organization is in its list: {str(_org(room)) in str(said)}"


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
    return f"fangate_ledger_lease_mismatch {await room.figure('max(fangate_ledger_lease_mismatch)')}; log: {line_of(room.logged('billing', 'the books do not balance'), 'event', 'drift_credits', 'seals')}; {await see_verify(room)}"


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
    return f"fangate_ledger_partitions_ahead {await room.figure('max(fangate_ledger_partitions_ahead)')}; log: {line_of(room.logged('billing', 'timer failed', timer='partitions'), 'event', 'timer')}"


async def _altered(room: Room, change: Any) -> None:
    copies = await usage_of(room)
    altered = []
    for copy in copies[:8]:
        usage = msgspec.json.decode(copy.body, type=UsageRecorded)
        records = tuple(change(record) for record in usage.records)
        kept = {name: getattr(copy, name) for name in _PROPERTIES}
        body = msgspec.json.encode(msgspec.structs.replace(usage, records=records))
        altered.append(SimpleNamespace(**{**kept, "body": body, "message_id": str(uuid7())}))
    await _send(room.campaign.world, EVENTS, altered)


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


async def seal_lags(room: Room) -> None:
    """A transaction that somebody left open: what was posted since cannot be sealed."""
    await leave_open(room, "BEGIN; SELECT pg_current_xact_id()")
    await asyncio.sleep(5)
    await room.campaign.load.pause()  # what was posted waits just as long


async def see_seal_lag(room: Room) -> str:
    rows = await room.owner(
        "SELECT state, extract(epoch FROM now() - xact_start)::int AS age, left(query, 40) AS query FROM pg_stat_activity"
        " WHERE backend_xid IS NOT NULL OR backend_xmin IS NOT NULL ORDER BY xact_start LIMIT 1"
    )
    oldest = rows[0]
    return f"fangate_ledger_seal_lag_seconds {await room.figure('max(fangate_ledger_seal_lag_seconds)')}; pg_stat_activity: {oldest['state']} for {oldest['age']} s: «{oldest['query']}»"


async def sealed_again(room: Room) -> None:
    room.campaign.load.resume()
    await end_left_open(room)


async def voids_lost(room: Room) -> None:
    """An edge with room for a single void beside the others, which cannot record what it sold."""
    port, admin_port = ports.pick(2)
    code = "import runpy, services.edge.gateways.usage as u; u.VOIDS_MAX = 1; runpy.run_module('services.edge', run_name='__main__')"
    env = {
        "PATH": os.environ["PATH"],
        **room.stack.env,
        "FANGATE_PORT_EDGE": str(port),
        "FANGATE_ADMIN_PORT_EDGE": str(admin_port),
    }
    log = room.stack.folder / "log" / "edge-small.log"
    room.notes["edge"] = Child.spawn("edge-small", [sys.executable, "-c", code], env=env, log=log, cwd=ROOT)
    room.others.write_text(
        json.dumps([{"targets": [f"127.0.0.1:{admin_port}"], "labels": {"service": "edge"}}]), encoding="utf-8"
    )
    organization = room.campaign.tenants[1].organization
    path = f"/api/models/{organization.model_id}/chats"
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"X-API-Key": organization.key}) as caller:
        async with asyncio.timeout(60):
            while await _status(caller, path) != 200:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)  # scraped with nothing lost yet
        await ledger_queues_stop(room)
        room.notes["statuses"] = await asyncio.gather(*(_status(caller, path) for _ in range(VOIDED_CALLS)))


async def _status(caller: aiohttp.ClientSession, path: str) -> int:
    try:
        async with caller.get(path) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def see_voids_lost(room: Room) -> str:
    room.notes["lost"] = int(float(await room.figure("sum(fangate_usage_voids_lost_total)")))
    return (
        f"fangate_usage_voids_lost_total {room.notes['lost']}; its callers read {sorted(set(room.notes['statuses']))}"
    )


async def voids_made_good(room: Room) -> None:
    await ledger_queues_go_on(room)
    await asyncio.sleep(3)  # the last void is sent
    await room.notes["edge"].stop(signal.SIGTERM, grace_s=60)
    room.others.write_text("[]", encoding="utf-8")
    org = str(_org(room))
    given = ("--credits", str(room.notes["lost"]), "--kind", "promo", "--memo", "drill: voids lost")
    granted = await room.stack.cli("billing", "grant", "--org", org, *given)
    room.notes["said"] = f"`grant` of {room.notes['lost']} credits, balance {granted['balance']}"


async def usage_unusual(room: Room) -> None:
    """As much in a minute as is unusual for an hour."""
    for _ in range(UNUSUAL_BURSTS):
        await room.campaign.world.burst(200)


async def see_spenders(room: Room) -> str:
    first, rows = room.campaign.tenants[0].organization.org_id, []
    for _ in range(USAGE_LOOKS):  # usage is summed a while after it is posted
        rows = await room.owner(
            "SELECT org_id, sum(credits)::bigint AS n FROM billing.usage_hours WHERE hour > now() - interval '2 hours'"
            " GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
        )
        if rows and str(rows[0]["org_id"]) == first:
            break
        await asyncio.sleep(3)
    return f"who spends: {len(rows)} organizations, the first {rows[0]['n']} credits (the one of the burst: {str(rows[0]['org_id']) == first}); `GET /api/usage?by=route` {await room.call('/api/usage?by=route')}"


VOIDED_CALLS: Final = 8
UNUSUAL_BURSTS: Final = 20
USAGE_LOOKS: Final = 30

OF_MONEY: Final = (
    Drill(entry="FangateLedgerDrift", caused_by="5 credits added to a stored balance by hand", cause=drift, look=see_verify, done="the change undone (a drill may: it knows what it did)", safe=no_drift),
    Drill(entry="FangateLedgerRuleBroken", caused_by="a lease's posted credits changed by hand", cause=rule_broken, look=see_rule, done="the change undone", safe=rule_holds),
    Drill(entry="FangateLedgerPartitionsMissing", caused_by="the months ahead dropped, their timer failing", cause=no_room, look=see_partitions, done="`SELECT billing.ensure_partitions(3)` as the owner, billing restarted", safe=room_again),
    Drill(entry="FangateLedgerPostErrors", caused_by="usage under known ids with another price", cause=other_payload, look=see_post_errors, done="read; the drill's rows removed by the owner", safe=post_errors_seen_to),
    Drill(entry="FangateLeaseOverdrawn", caused_by="usage far beyond its lease, sent as the edge", cause=overdrawn, look=see_waived, done="nothing: it is not billed", safe=nothing, window="30 min"),
    Drill(entry="FangateVoidsLost", caused_by="an edge with room for one void, the ledger's queues confirm nothing", cause=voids_lost, look=see_voids_lost, done="the queues go on; the customer is given the credits", safe=voids_made_good, window="30 min"),
    Drill(entry="FangateUsageUnusual", caused_by="4,000 calls at once after a day of a credit a minute", cause=usage_unusual, look=see_spenders, done="nothing: the books are right, the plan's limits hold", safe=nothing, window="1 h"),
    Drill(entry="FangateLedgerSealLags", caused_by="a transaction left open for a quarter of an hour", cause=seal_lags, look=see_seal_lag, done="ended by its pid", safe=sealed_again, fires_within_s=1_100.0),
)  # fmt: skip
