"""Readiness answers in time, whatever a check does."""

import asyncio

import pytest

from libs.common.http import health
from libs.common.http.health import Health


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.01)


async def test_a_check_that_hangs_is_a_no_and_is_not_begun_twice() -> None:
    begun, may_end = 0, asyncio.Event()

    async def hang() -> None:
        nonlocal begun
        begun += 1
        while not may_end.is_set():  # as a driver that waits for a silent server: deaf to cancellations
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    looked = Health()
    looked.state, looked.checks = "running", {"postgres": hang}
    for _ in range(3):
        assert await looked.look() == (False, {"postgres": "no answer in 0 s"})
    assert begun == 1
    may_end.set()
    await asyncio.sleep(0)
    assert await looked.look() == (True, {"postgres": "ok"})


async def test_a_check_says_why_without_secrets() -> None:
    async def fail() -> None:
        raise ConnectionError("no route to postgresql://me:hunter2@there")

    looked = Health()
    looked.state, looked.checks = "running", {"postgres": fail}
    is_ready, checks = await looked.look()
    assert not is_ready
    assert checks["postgres"].startswith("ConnectionError: no route")
    assert "hunter2" not in checks["postgres"]
