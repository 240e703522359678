"""The port `Pace`: what the one on Redis, the same without its Redis, and the double of the tests promise alike."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from libs.common.clock import SystemClock
from libs.common.redis.client import Redis
from services.edge.domain.ports import Pace
from services.edge.store.pace import CountedCalls
from tests.support.pace import CountedPace

CALLS_MAX, WINDOW_MS = 3, 1_500
SECONDS_MAX = 30


@pytest.fixture(params=["redis", "without redis", "double"])
async def pace(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Pace]:
    if request.param == "double":
        yield CountedPace(CALLS_MAX, WINDOW_MS)
        return
    url = redis_url if request.param == "redis" else "redis://127.0.0.1:1/0"
    redis = Redis.create(url, size_max=2)
    yield CountedCalls(redis, SystemClock(), calls_max=CALLS_MAX, window_ms=WINDOW_MS)
    await redis.close()


async def test_one_too_many_waits_and_nobody_elses_does(pace: Pace) -> None:
    assert [await pace.take("mine") for _ in range(CALLS_MAX)] == [0] * CALLS_MAX
    assert 0 < await pace.take("mine") <= WINDOW_MS
    assert await pace.take("yours") == 0


async def test_many_at_once_are_not_too_many(pace: Pace) -> None:
    waits = await asyncio.gather(*(pace.take("mine") for _ in range(20)))
    assert waits.count(0) == CALLS_MAX


async def test_what_is_given_back_may_be_taken_again_once(pace: Pace) -> None:
    for _ in range(CALLS_MAX + 2):
        await pace.take("mine")
    await pace.give_back("mine")
    assert await pace.take("mine") == 0
    assert await pace.take("mine") > 0


async def test_giving_back_what_nobody_took_lends_nothing(pace: Pace) -> None:
    await pace.give_back("mine")
    assert [await pace.take("mine") for _ in range(CALLS_MAX)] == [0] * CALLS_MAX
    assert await pace.take("mine") > 0


async def test_the_window_ends_by_itself(pace: Pace) -> None:
    for _ in range(CALLS_MAX):
        await pace.take("mine")
    end = time.monotonic() + SECONDS_MAX
    while await pace.take("mine") and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert [await pace.take("mine") for _ in range(CALLS_MAX - 1)] == [0] * (CALLS_MAX - 1)
