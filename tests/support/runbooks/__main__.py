"""`python -m tests.support.runbooks`: follow the runbook's entries on a system of their own; `--write` puts the table into
docs/operations.md. Exit status 1 if an alert did not fire.
"""

import argparse
import asyncio
import dataclasses
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from deploy.local.profile import ROOT, RUN
from tests.support.faults.report import put_into
from tests.support.runbooks.drill import Drill, Followed, follow
from tests.support.runbooks.drills import DRILLS
from tests.support.runbooks.room import Room, a_room

KEPT: Final = RUN / "runbooks.json"  # what was followed, by entry: a run may do only some
COLUMNS: Final = 6


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.runbooks", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", default="", help="entries whose name matches this expression")
    parser.add_argument("--write", action="store_true", help="put the table into docs/operations.md")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it takes down what it started
    chosen = [drill for drill in DRILLS if re.search(options.only, drill.entry)]
    kept = _kept()
    try:
        asyncio.run(_run(chosen, kept))
    finally:
        KEPT.write_bytes(msgspec.json.encode(kept))
    if options.write:
        page = ROOT / "docs" / "operations.md"
        put_into(page, markdown(kept, before=page.read_text(encoding="utf-8")))
    return 0 if all(kept[drill.entry].fired_s is not None for drill in chosen) else 1


async def _run(chosen: Sequence[Drill], kept: dict[str, Followed]) -> None:
    async with a_room(RUN / f"faults-{os.getpid()}") as room:
        room.campaign.load.resume()
        for drill in chosen:
            kept[drill.entry] = followed = await _followed(drill, room)
            sys.stdout.write(f"{followed}\n")
            sys.stdout.flush()
        await room.campaign.load.pause()
        sys.stdout.write(f"drift at the end: {await room.campaign.money.drift()}\n")


async def _followed(drill: Drill, room: Room) -> Followed:
    room.notes.clear()
    followed = await follow(drill, room)
    said = room.notes.get("said", "")
    return followed if not said else dataclasses.replace(followed, done=f"{followed.done}: {said}")


def _kept() -> dict[str, Followed]:
    return msgspec.json.decode(KEPT.read_bytes(), type=dict[str, Followed]) if KEPT.exists() else {}


def markdown(kept: dict[str, Followed], *, before: str = "") -> str:
    """The table: what was caused, what was seen, what was done. What this machine has not followed stays as it was `before`."""
    lines = [
        "| entry | caused by | fired after | seen where the entry says to look | done | ended |",
        "|---|---|---|---|---|---|",
    ]
    for drill in DRILLS:
        each = kept.get(drill.entry)
        if each is None and (row := _row_of(drill.entry, before)):
            lines.append(row)
            continue
        if each is None or each.fired_s is None:
            lines.append(
                f"| {drill.entry} | {drill.caused_by} | **did not fire** | {each.seen if each else 'not run'} | | |"
            )
            continue
        seen = _cell(f"{each.seen}{f' ({each.trouble})' if each.trouble else ''}")
        lines.append(
            f"| {each.entry} | {each.caused_by} | {each.fired_s:.0f} s | {seen} | {each.done} | {each.ended} |"
        )
    return "\n".join(lines)


def _row_of(entry: str, page: str) -> str:
    """The entry's row on the page, where it was followed: other tables name it too, in fewer columns."""
    rows = (line for line in page.splitlines() if line.startswith(f"| {entry} | "))
    return next((row for row in rows if row.count(" | ") >= COLUMNS - 1), "")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
