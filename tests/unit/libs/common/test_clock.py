"""The machine's clocks: aware, in milliseconds, and never running backwards where that is promised."""

import time
from datetime import UTC, timedelta

from libs.common.clock import Clock, SystemClock


def test_now_is_aware_and_agrees_with_now_ms() -> None:
    clock: Clock = SystemClock()
    before, now, after = clock.now_ms(), clock.now(), clock.now_ms()
    assert now.tzinfo is UTC
    assert now.utcoffset() == timedelta(0)
    assert before - 1 <= int(now.timestamp() * 1000) <= after + 1


def test_the_stopwatch_never_runs_backwards() -> None:
    clock = SystemClock()
    readings = [clock.stopwatch_ms() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_the_stopwatch_counts_the_time_that_a_sleeping_machine_sleeps() -> None:
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    if boot is not None:  # Linux
        before = time.clock_gettime_ns(boot) // 1_000_000
        assert before <= SystemClock().stopwatch_ms() <= time.clock_gettime_ns(boot) // 1_000_000
