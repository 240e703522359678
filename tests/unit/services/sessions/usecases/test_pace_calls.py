"""Pacing per account of a platform: who waits, who is refused, who is not paced at all."""

import pytest

from services.sessions.domain.errors import Paced
from services.sessions.domain.model import Model
from services.sessions.domain.pace import Allowance, Rate
from services.sessions.usecases.pace_calls import PaceCalls
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import a_model


class Bench:
    def __init__(self, rate: Rate = Rate(per_minute=60, burst=1)) -> None:  # noqa: B008 - frozen
        self.clock = FakeClock()
        self.counted: list[str] = []
        self.slept: list[float] = []
        self.pace = PaceCalls(
            {"session": rate},
            clock=self.clock,
            count=self.counted.append,
            observe_wait=lambda _: None,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def __call__(self, model: Model, patience_ms: int = 10_000) -> None:
        await self.pace.wait(model, patience_ms=patience_ms)


async def test_calls_of_one_account_wait_behind_each_other() -> None:
    bench, model = Bench(), a_model(provider="session")
    for _ in range(3):
        await bench(model)
    assert bench.slept == [1.0, 2.0]
    assert bench.counted == ["passed", "waited", "waited"]


async def test_one_account_is_one_whoever_calls_it() -> None:
    bench = Bench()
    await bench(a_model(provider="session", account="7"))
    await bench(a_model(provider="session", account="7"))  # of another organization
    await bench(a_model(provider="session", account="8"))
    assert bench.counted == ["passed", "waited", "passed"]


async def test_who_cannot_wait_is_told_when_and_takes_nothing() -> None:
    bench, model = Bench(), a_model(provider="session")
    await bench(model)
    await bench(model)
    for _ in range(5):
        with pytest.raises(Paced) as refused:
            await bench(model, patience_ms=1_500)
        assert refused.value.retry_after_s == 2
    bench.clock.ms += 2_000
    await bench(model, patience_ms=0)
    assert bench.counted == ["passed", "waited", *["refused"] * 5, "passed"]


async def test_a_pause_holds_everybody_off_but_never_for_ever() -> None:
    bench, model = Bench(), a_model(provider="session")
    bench.pace.hold_off(model, 86_400)
    with pytest.raises(Paced) as refused:
        await bench(model)
    assert refused.value.retry_after_s == 300


async def test_a_provider_without_a_rate_is_not_paced() -> None:
    bench, model = Bench(), a_model(provider="sandbox")
    bench.pace.hold_off(model, 60)
    for _ in range(100):
        await bench(model, patience_ms=0)
    assert bench.counted == []


async def test_what_a_platform_allows_is_kept_where_it_is_less() -> None:
    bench, model = Bench(Rate(per_minute=600, burst=1)), a_model(provider="session")
    bench.pace.learn(model, Allowance(limit=60, remaining=50, reset_s=30))
    for _ in range(3):
        await bench(model)
    assert bench.slept == [1.0, 2.0]
    bench.clock.ms += 60_000
    bench.pace.learn(model, Allowance(limit=60_000, remaining=50, reset_s=30))  # more than the operator wants
    for _ in range(2):
        await bench(model)
    assert bench.slept[2:] == [0.1]


async def test_an_allowance_that_is_used_up_holds_the_account_off_until_it_is_there_again() -> None:
    bench, model = Bench(), a_model(provider="session")
    bench.pace.learn(model, Allowance(limit=60, remaining=0, reset_s=20))
    with pytest.raises(Paced) as paced:
        await bench(model)
    assert paced.value.retry_after_s == 20
    bench.clock.ms += 20_000
    await bench(model)


async def test_processes_share_what_a_platform_allows_and_an_unpaced_account_learns_nothing() -> None:
    clock, slept = FakeClock(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pace = PaceCalls(
        {"session": Rate(600, 1)}, clock=clock, count=lambda _: None, observe_wait=lambda _: None, sleep=sleep, processes=2,
    )  # fmt: skip
    paced, unpaced = a_model(provider="session"), a_model(provider="sandbox")
    for model in (paced, unpaced):
        pace.learn(model, Allowance(limit=60, remaining=0 if model is unpaced else 5, reset_s=20))
        for _ in range(2):
            await pace.wait(model, patience_ms=10_000)
    assert slept == [2.0]
