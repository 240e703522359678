"""Time, always passed in: a rule or a use case never reads a clock by itself."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall clock for dates and deadlines between machines, stopwatch for durations within one."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def now_ms(self) -> int:
        """Unix milliseconds."""
        ...

    def stopwatch_ms(self) -> int:
        """Milliseconds that only rise and that count while the machine sleeps, from an arbitrary start."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def stopwatch_ms(self) -> int:
        return time.clock_gettime_ns(_STOPWATCH) // 1_000_000


# CLOCK_BOOTTIME counts a suspended machine's sleep; where it does not exist (macOS) the monotonic clock has to do.
_STOPWATCH: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
