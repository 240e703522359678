"""Periodic work survives its failures."""

import asyncio

import pytest

from libs.common.db.errors import DatabaseAway
from libs.common.db.timers import TIMER_RUNS, Timer


def runs(timer: str, outcome: str) -> float:
    return float(TIMER_RUNS.labels(timer, outcome)._value.get())


async def test_a_run_that_fails_is_counted_and_swallowed() -> None:
    outcomes: list[Exception | None] = [None, DatabaseAway(), ZeroDivisionError()]

    async def work() -> None:
        if error := outcomes.pop(0):
            raise error

    timer = Timer("example", 1.0, work)
    for _ in range(3):
        await timer.once()
    assert [runs("example", outcome) for outcome in ("ok", "waits", "failed")] == [1, 1, 1]


async def test_it_runs_at_once_and_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    worked = 0

    async def work() -> None:
        nonlocal worked
        worked += 1

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 50:
            raise asyncio.CancelledError

    monkeypatch.setattr("libs.common.db.timers.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await Timer("again", 10.0, work).run()
    assert worked == 50
    assert all(9.0 <= seconds <= 11.0 for seconds in slept)
    assert len(set(slept)) > 1


async def test_a_cancelled_timer_ends() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Timer("cancelled", 1.0, work).run()
