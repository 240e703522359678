"""Deadlines on one timer: each fires once, in time, unless it was taken back; `within` behaves as `asyncio.timeout`."""

import asyncio
import time
from typing import Any

import pytest

from libs.common.deadlines import TICK_SECONDS, Deadlines

SHORT = 2 * TICK_SECONDS


class Somebody:
    def __init__(self) -> None:
        self.told_at: list[float] = []

    def expire(self) -> None:
        self.told_at.append(asyncio.get_running_loop().time())


async def test_it_is_told_once_and_never_early() -> None:
    deadlines, who, loop = Deadlines(), Somebody(), asyncio.get_running_loop()
    started = loop.time()
    deadlines.add(who, SHORT)
    await asyncio.sleep(SHORT + 4 * TICK_SECONDS)
    assert len(who.told_at) == 1
    assert who.told_at[0] - started >= SHORT


async def test_what_was_taken_back_is_not_told() -> None:
    deadlines, who, other = Deadlines(), Somebody(), Somebody()
    due = deadlines.add(who, 0)
    deadlines.add(other, 0)
    due.discard(who)
    await asyncio.sleep(4 * TICK_SECONDS)
    assert (len(who.told_at), len(other.told_at)) == (0, 1)


async def test_what_was_taken_back_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, who, loop, timers = Deadlines(), Somebody(), asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def noted(at: float, *what: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(at)
        return call_at(at, *what, **options)

    monkeypatch.setattr(loop, "call_at", noted)
    for _ in range(20):
        deadlines.add(who, 4 * TICK_SECONDS).discard(who)
        time.sleep(TICK_SECONDS / 4)  # noqa: ASYNC251 - as time goes by, without the loop's own timers
    while loop.time() < timers[0] + 4 * TICK_SECONDS:
        await asyncio.sleep(0)
    assert len(timers) == 1, "of the first; at its end all others were found taken back"
    deadlines.close()


async def test_one_that_comes_sooner_is_told_first() -> None:
    deadlines, late, soon = Deadlines(), Somebody(), Somebody()
    deadlines.add(late, 5)
    deadlines.add(soon, SHORT)
    await asyncio.sleep(SHORT + 4 * TICK_SECONDS)
    assert (len(late.told_at), len(soon.told_at)) == (0, 1)
    deadlines.close()


async def test_a_loop_that_slept_misses_none() -> None:
    deadlines, who = Deadlines(), [Somebody() for _ in range(5)]
    for number, one in enumerate(who):
        deadlines.add(one, number * TICK_SECONDS)
    time.sleep(8 * TICK_SECONDS)  # noqa: ASYNC251 - the point
    await asyncio.sleep(2 * TICK_SECONDS)
    assert [len(one.told_at) for one in who] == [1] * 5


async def test_after_a_rest_it_begins_anew() -> None:
    deadlines, who = Deadlines(), Somebody()
    for rounds in (1, 2):
        deadlines.add(who, 0)
        await asyncio.sleep(6 * TICK_SECONDS)
        assert len(who.told_at) == rounds


async def test_a_block_that_takes_too_long_ends_with_a_timeout() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(SHORT) as limit:
        await asyncio.sleep(5)
    assert limit.is_expired
    await asyncio.sleep(0)  # the task is not cancelled any more


async def test_a_block_in_time_and_its_own_errors_pass() -> None:
    deadlines = Deadlines()
    with deadlines.within(SHORT) as limit:
        await asyncio.sleep(0)
    with pytest.raises(KeyError), deadlines.within(SHORT):
        raise KeyError
    await asyncio.sleep(SHORT + 4 * TICK_SECONDS)
    assert not limit.is_expired


async def test_a_cancellation_by_somebody_else_goes_on() -> None:
    deadlines, begun = Deadlines(), asyncio.Event()

    async def work() -> None:
        with deadlines.within(5):
            begun.set()
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_inner_of_two_blocks_ends_only_itself() -> None:
    deadlines = Deadlines()
    with deadlines.within(5) as outer:
        with pytest.raises(TimeoutError), deadlines.within(SHORT):
            await asyncio.sleep(5)
        await asyncio.sleep(0)
    assert not outer.is_expired


async def test_closed_it_tells_nobody() -> None:
    deadlines, who = Deadlines(), Somebody()
    deadlines.add(who, 0)
    deadlines.close()
    await asyncio.sleep(4 * TICK_SECONDS)
    assert who.told_at == []
