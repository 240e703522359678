"""Entries about submissions, and about what follows them."""

import json
from typing import Final

from libs.common.ids import uuid7
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.left_open import end_left_open, leave_open
from tests.support.runbooks.room import Room

_HOLD: Final = "BEGIN; SELECT FROM takedowns.urls WHERE next_action_at IS NOT NULL AND state IN (1, 2, 3) FOR UPDATE"


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


async def takedowns_late(room: Room) -> None:
    """A transaction that somebody left open holds URLs whose time has come: whoever would go on with them passes them by."""
    is_due = "UPDATE takedowns.urls SET next_action_at = now() - interval '2 hours' WHERE state IN (1, 2, 3)"
    await leave_open(room, is_due, _HOLD)


async def see_late(room: Room) -> str:
    rows = await room.owner("SELECT left(query, 40) AS query FROM pg_stat_activity WHERE state = 'idle in transaction'")
    return f"fangate_takedowns_oldest_due_seconds {await room.figure('max(fangate_takedowns_oldest_due_seconds)')}; pg_stat_activity, idle in transaction: {[row['query'] for row in rows]}"


async def csam_reported(room: Room) -> None:
    await room.ask("POST", "/api/csam-reports", urls=["https://a-host.example.com/reported"])


async def see_csam(room: Room) -> str:
    reports = (await room.stack.cli("takedowns", "csam", "list"))["reports"]
    room.notes["reports"] = [report["id"] for report in reports]
    shown = await room.stack.cli("takedowns", "csam", "show", room.notes["reports"][0])
    return f"`csam list`: {len(reports)}; `csam show`: {len(shown['urls'])} URL, and where to report it"


async def csam_told(room: Room) -> None:
    """As in a drill: nobody is told, for there is nothing."""
    for report in room.notes["reports"]:
        said = ("--by", "drill", "--authority", "nobody: a drill", "--reference", "none")
        await room.stack.cli("takedowns", "csam", "close", report, *said)


OF_TAKEDOWNS: Final = (
    Drill(entry="FangateSubmissionsHalfWay", caused_by="a batch that holds its credits and that nobody goes on with", cause=half_way, look=see_half_way, done="takedowns restarted; the sweeper settles it", safe=half_way_settled),
    Drill(entry="FangateTakedownsLate", caused_by="a transaction left open on URLs whose time has come", cause=takedowns_late, look=see_late, done="ended by its pid", safe=end_left_open),
    Drill(entry="FangateCsamWaiting", caused_by="a report by a customer", cause=csam_reported, look=see_csam, done="`csam close`, with whom was told and their number", safe=csam_told),
)  # fmt: skip
