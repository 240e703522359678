"""One runbook entry, followed: its condition is caused, its alert fires, what it says to look at is looked at, what it says is
safe is done, and the alert ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.support.runbooks.room import Room

FIRE_SECONDS_MAX: Final = 100.0
END_SECONDS_MAX: Final = 90.0
LOOK_SECONDS: Final = 0.2

Step = Callable[[Room], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """`entry` is the heading in docs/operations.md, `alert` the rule that must fire. `cause` breaks, `look` answers what was
    seen, `safe` does what the entry says (and undoes what `cause` did). `window`: how long the rule remembers, where the
    alert therefore outlives its cause. `fires_within_s`: where its rate needs longer.
    """

    entry: str
    caused_by: str
    cause: Step
    look: Callable[[Room], Awaitable[str]]
    done: str
    safe: Step
    alert: str = ""
    window: str = ""
    fires_within_s: float = FIRE_SECONDS_MAX

    @property
    def rule(self) -> str:
        return self.alert or self.entry


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of it."""

    entry: str
    caused_by: str
    fired_s: float | None  # None: it did not fire
    seen: str
    done: str
    ended: str
    trouble: str = ""


async def follow(drill: Drill, room: Room) -> Followed:
    """Follow one entry; whatever happens, `safe` is done."""
    fired_s: float | None = None
    seen, trouble, ended = "", "", ""
    if await _fires(room, drill.rule):
        await _until(room, drill.rule, fires=False, seconds=END_SECONDS_MAX)  # of a drill before
    started = time.monotonic()
    try:
        await drill.cause(room)
        if await _until(room, drill.rule, fires=True, seconds=drill.fires_within_s):
            fired_s = time.monotonic() - started
        seen = await drill.look(room)
    except Exception as exc:
        trouble = f"{type(exc).__name__}: {exc}"[:300]
    try:
        await drill.safe(room)
    except Exception as exc:
        trouble += f" / {type(exc).__name__}: {exc}"[:300]
    started = time.monotonic()
    if drill.window:
        ended = f"after its window of {drill.window}"
    elif await _until(room, drill.rule, fires=False, seconds=END_SECONDS_MAX):
        ended = f"{time.monotonic() - started:.0f} s later"
    else:
        ended = "not within 90 s"
    return Followed(drill.entry, drill.caused_by, fired_s, seen, drill.done, ended, trouble)


async def _until(room: Room, rule: str, *, fires: bool, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while await _fires(room, rule) != fires:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


async def _fires(room: Room, rule: str) -> bool:
    return any(name == rule for name, _ in await room.prometheus.firing())
