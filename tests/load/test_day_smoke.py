"""The simulated day, small and short: many organizations are made at once, few call much, and the books are exact. No figure is judged."""

import random
from pathlib import Path

import pytest

from tests.load.day import HOURS, SHAPE, Day, Hour, Player, draw, played, table
from tests.support.stack import Stack


@pytest.mark.timeout(300)  # the system may be started for it
async def test_a_short_day_is_in_the_books_credit_for_credit(stack: Stack, tmp_path: Path) -> None:
    day = await played(stack, organizations=12, seconds=6.0, calls_per_second=20.0, seed=7)
    assert day.is_exact, table(day)
    assert day.paid_credits > 20
    assert sum(hour.figures()["calls"] for hour in day.hours) > 20
    assert any(hour.queues for hour in day.hours)
    draw(day, tmp_path / "day.png")
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    assert len(table(day).splitlines()) == HOURS + 3


@pytest.mark.parametrize(("debited", "unanswered", "verdict", "is_exact"), [(10, 0, "OK", True), (9, 0, "OK", False), (11, 0, "OK", False), (11, 1, "OK", True), (10, 0, "WRONG", False)])  # fmt: skip
def test_a_day_is_exact_only_if_it_is(debited: int, unanswered: int, verdict: str, is_exact: bool) -> None:
    day = Day([Hour()], paid_credits=10, debited_credits=debited, unanswered=unanswered, verdict=verdict, shares=[1.0])
    assert day.is_exact is is_exact


def test_few_call_much_and_most_call_little() -> None:
    organizations = [object() for _ in range(1_000)]
    player = Player(None, organizations, random.Random(1))  # type: ignore[arg-type]
    first, all_of_them = player._weights[0], player._weights[-1]
    assert 0.1 < first / all_of_them < 0.25
    assert player._weights[99] / all_of_them > 0.6
    assert len(SHAPE) == HOURS
