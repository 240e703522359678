"""The breaker: five errors in a row open it, one probe a second closes it."""

from libs.common.redis.breaker import ERRORS_MAX, OPEN_SECONDS, Breaker


def opened(at: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(ERRORS_MAX):
        assert breaker.allows(at)
        breaker.failed(at)
    return breaker


def test_it_opens_at_the_fifth_error_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(ERRORS_MAX - 1):
        breaker.failed(100.0)
    assert breaker.allows(100.0)
    breaker.failed(100.0)
    assert not breaker.allows(100.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(ERRORS_MAX - 1):
            breaker.failed(100.0)
        breaker.succeeded()
    assert breaker.allows(100.0)


def test_after_a_second_exactly_one_probe_may_go() -> None:
    breaker = opened()
    assert not breaker.allows(100.0 + OPEN_SECONDS - 0.001)
    assert breaker.allows(100.0 + OPEN_SECONDS)
    assert not breaker.allows(100.0 + OPEN_SECONDS)


def test_a_good_probe_closes_it_a_bad_one_opens_it_again() -> None:
    good, bad = opened(), opened()
    assert good.allows(101.0)
    assert bad.allows(101.0)
    good.succeeded()
    bad.failed(101.0)
    assert good.allows(101.0)
    assert not bad.allows(101.5)
    assert bad.allows(102.0)


def test_a_probe_that_was_cancelled_makes_room_for_the_next() -> None:
    breaker = opened()
    assert breaker.allows(101.0)
    breaker.abandoned()
    assert breaker.allows(101.0)
