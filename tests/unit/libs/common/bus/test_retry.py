"""The ladder, and what copies carry."""

import pytest

from libs.common.bus.channels import NO_RECEIPT
from libs.common.bus.retry import ATTEMPTS_MAX, Dead, Later, copy_for_later, dead_letter, decide
from libs.common.bus.topology import RUNGS
from libs.common.bus.transport import Delivery
from libs.common.errors import Permanent, RetryAfter, Transient


def a_delivery(**headers: object) -> Delivery:
    return Delivery(
        queue="sessions.jobs", type="sessions.job.connect.v1", message_id="m", user="sessions", headers=headers, body=b"{}",
        receipt=NO_RECEIPT, content_type="application/json",
    )  # fmt: skip


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 30), (3, 300), (4, 1800)])
def test_each_attempt_has_its_rung(attempt: int, seconds: int) -> None:
    step = decide(Transient(), attempt)
    assert isinstance(step, Later)
    assert step.rung.seconds == seconds


def test_the_fifth_failure_is_the_last() -> None:
    assert decide(Transient(), ATTEMPTS_MAX) == Dead("exhausted")
    assert decide(RetryAfter(1), ATTEMPTS_MAX) == Dead("exhausted")


def test_an_unexpected_error_counts_as_transient() -> None:
    assert decide(KeyError("x"), 1) == Later(RUNGS[0])


def test_permanent_is_dead_at_once() -> None:
    assert decide(Permanent(), 1) == Dead("permanent")


@pytest.mark.parametrize(
    ("wish", "given"), [(0, 5), (5, 5), (5.1, 30), (30, 30), (31, 300), (1800, 1800), (99_999, 1800)]
)
def test_retry_after_takes_the_first_rung_that_is_long_enough(wish: float, given: int) -> None:
    step = decide(RetryAfter(wish), 1)
    assert isinstance(step, Later)
    assert step.rung.seconds == given


def test_a_nonsense_attempt_does_not_break_the_ladder() -> None:
    assert decide(Transient(), -3) == Later(RUNGS[0])


def test_a_copy_comes_back_to_its_queue_with_one_attempt_more_and_without_the_brokers_headers() -> None:
    delivery = a_delivery(attempt=2, org="o", **{"x-death": [1], "x-delivery-count": 3})
    copy = copy_for_later(delivery, RUNGS[1], Transient("t" * 900), 2)
    assert (copy.exchange, copy.routing_key, copy.message_id) == ("retry.30s", "sessions.jobs", "m")
    assert copy.headers == {"attempt": 3, "org": "o", "error": "t" * 500}
    assert copy.mandatory
    assert copy.persistent


def test_a_dead_letter_says_why() -> None:
    letter = dead_letter(a_delivery(attempt=1), "malformed", ValueError(""), 1, "sessions")
    assert (letter.exchange, letter.routing_key) == ("dead", "sessions.jobs")
    assert letter.headers["error"] == "ValueError"
    assert letter.headers["failed-at"].endswith("+00:00")
