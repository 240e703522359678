"""Many deadlines on one timer: what is not taken back in time is told so, up to `TICK_SECONDS` late.

A timer of the event loop costs 2.4 µs to set and cancel, and `asyncio.timeout` 5 (measured); a call sets four of them, and
nearly none ever fires. This costs a tenth.
"""

import asyncio
from types import TracebackType
from typing import Final, Protocol, Self

TICK_SECONDS: Final = 0.025


class Expiring(Protocol):
    """Whoever has a deadline."""

    def expire(self) -> None:
        """It has passed. Raises nothing."""
        ...


class Deadlines:
    """Of one event loop: the one that runs when the first is added."""

    def __init__(self) -> None:
        self._due: dict[int, set[Expiring]] = {}  # by the tick at which they have passed
        self._loop: asyncio.AbstractEventLoop | None = None  # kept: asking which one runs is a system call
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0  # the tick of the timer

    def add(self, who: Expiring, seconds: float) -> set[Expiring]:
        """Call `who.expire()` after `seconds`, unless `who` is discarded from the set that this answers."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        tick = int((loop.time() + max(0.0, seconds)) / TICK_SECONDS) + 1
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = set()
            if self._timer is None or tick < self._wakes_at:
                self._wake_at(loop, tick)
        due.add(who)
        return due

    def within(self, seconds: float) -> "Within":
        """`with deadlines.within(seconds) as limit:` cancels the task in the block and raises TimeoutError, as `asyncio.timeout`."""
        return Within(self, seconds)

    def close(self) -> None:
        """Nobody is told any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, loop: asyncio.AbstractEventLoop, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = tick
        self._timer = loop.call_at(tick * TICK_SECONDS, self._look)

    def _look(self) -> None:
        loop = self._loop
        assert loop is not None, "a timer was set"
        self._timer = None
        tick = int(loop.time() / TICK_SECONDS)
        # Also those that a busy loop has slept through.
        for passed in sorted(due for due in self._due if due <= tick):
            for who in tuple(self._due.pop(passed, ())):
                who.expire()
        # Nearly all was taken back long ago: what that left empty must not wake the process once more.
        self._due = {due: some for due, some in self._due.items() if some}
        if self._due:
            self._wake_at(loop, min(self._due))


class Within:
    """A block with a deadline; `is_expired` tells whether it was this one that ended it."""

    __slots__ = ("_cancelled_before", "_deadlines", "_due", "_seconds", "_task", "is_expired")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self.is_expired = False
        self._deadlines = deadlines
        self._seconds = seconds

    def expire(self) -> None:
        self.is_expired = True
        self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "only a task can be cancelled"
        self._task = task
        self._cancelled_before = task.cancelling()
        self._due = self._deadlines.add(self, self._seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._due.discard(self)
        if not self.is_expired:
            return
        # Our own cancellation is taken back; if somebody else's stands beside it, that one goes on.
        if self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error
