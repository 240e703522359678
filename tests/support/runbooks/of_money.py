"""Entries about the books."""

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from libs.common.contracts.edge import UsageRecorded
from libs.common.contracts.wire import EVENTS
from libs.common.ids import uuid7
from tests.support.faults.broker_faults import _send
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.looking import line_of, nothing, usage_of
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


OF_MONEY: Final = (
    Drill(entry="FangateLedgerDrift", caused_by="5 credits added to a stored balance by hand", cause=drift, look=see_verify, done="the change undone (a drill may: it knows what it did)", safe=no_drift),
    Drill(entry="FangateLedgerRuleBroken", caused_by="a lease's posted credits changed by hand", cause=rule_broken, look=see_rule, done="the change undone", safe=rule_holds),
    Drill(entry="FangateLedgerPartitionsMissing", caused_by="the months ahead dropped, their timer failing", cause=no_room, look=see_partitions, done="`SELECT billing.ensure_partitions(3)` as the owner, billing restarted", safe=room_again),
    Drill(entry="FangateLedgerPostErrors", caused_by="usage under known ids with another price", cause=other_payload, look=see_post_errors, done="read; the drill's rows removed by the owner", safe=post_errors_seen_to),
    Drill(entry="FangateLeaseOverdrawn", caused_by="usage far beyond its lease, sent as the edge", cause=overdrawn, look=see_waived, done="nothing: it is not billed", safe=nothing, window="30 min"),
)  # fmt: skip
