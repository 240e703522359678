"""The arithmetic of windows: what remains, and the least wait that suffices."""

from hypothesis import given
from hypothesis import strategies as st

from services.edge.domain.windows import (
    DAY_MS,
    MINUTE_MS,
    Counters,
    Limits,
    Windows,
    day_wait_ms,
    left_ms,
    minute_estimate,
    minute_wait_ms,
)

NOW = 1_790_000_040_000  # the start of a minute
assert NOW % MINUTE_MS == 0


def passes_at(limit: int, current: int, previous: int, now_ms: int, wait_ms: int) -> bool:
    """Whether one more call passes `wait_ms` later, if none is counted meanwhile: the script's own rule, by hand."""
    later = now_ms + wait_ms
    minutes = later // MINUTE_MS - now_ms // MINUTE_MS
    if minutes == 1:
        current, previous = 0, current
    elif minutes > 1:
        current, previous = 0, 0
    left = MINUTE_MS - later % MINUTE_MS
    return previous * left // MINUTE_MS + current + 1 <= limit


@given(
    limit=st.integers(1, 20_000),
    current=st.integers(0, 25_000),
    previous=st.integers(0, 25_000),
    offset_ms=st.integers(0, MINUTE_MS - 1),
)
def test_the_minute_wait_suffices_and_one_millisecond_less_never_does(
    limit: int, current: int, previous: int, offset_ms: int
) -> None:
    now_ms = NOW + offset_ms
    if passes_at(limit, current, previous, now_ms, 0):
        return
    wait_ms = minute_wait_ms(limit, current, previous, now_ms)
    assert passes_at(limit, current, previous, now_ms, wait_ms)
    assert not passes_at(limit, current, previous, now_ms, wait_ms - 1)


@given(wait_ms=st.integers(1, DAY_MS))
def test_retry_after_is_never_too_early_and_at_most_a_second_late(wait_ms: int) -> None:
    windows = Windows(Limits(0, 1, 0), Counters(DAY_MS - wait_ms, 0, 0, 1, 0))
    assert windows.limits.minute == 0
    refusing = Windows(Limits(10, 1, 0), Counters(DAY_MS - wait_ms, 0, 0, 1, 0)).refusing()
    assert refusing is not None
    assert refusing.name == "day"
    assert 0 <= refusing.retry_after_s * 1_000 - wait_ms < 1_000


def test_a_limit_of_zero_waits_for_the_end_of_the_minute() -> None:
    assert minute_wait_ms(0, 0, 0, NOW + 1_000) == 59_000


def test_the_longest_wait_is_reported() -> None:
    everything = Windows(Limits(5, 5, 5), Counters(NOW, 5, 0, 5, 5)).refusing()
    assert everything is not None
    assert everything.name == "day"
    assert everything.wait_ms == day_wait_ms(NOW)
    minute_and_key = Windows(Limits(5, 50, 5), Counters(NOW, 5, 0, 5, 5)).refusing()
    assert minute_and_key is not None
    assert minute_and_key.name == "minute", "the sliding window outlasts the aligned one"
    assert Windows(Limits(5, 50, 5), Counters(NOW, 4, 0, 4, 4)).refusing() is None


def test_what_is_shown() -> None:
    counters = Counters(NOW + 30_000, 10, 20, 30, 3)
    assert minute_estimate(counters) == 20
    plain = Windows(Limits(100, 1_000, 0), counters)
    assert (plain.remaining_minute, plain.remaining_day) == (80, 970)
    assert (plain.shown().name, plain.shown().limit, plain.shown().remaining) == ("minute", 100, 80)
    assert plain.shown().reset_at_s == (NOW + MINUTE_MS) // 1_000
    keyed = Windows(Limits(100, 1_000, 7), counters).shown()
    assert (keyed.name, keyed.limit, keyed.remaining) == ("key", 7, 4)


def test_remaining_is_never_negative_after_a_plan_shrank() -> None:
    windows = Windows(Limits(5, 5, 1), Counters(NOW, 50, 0, 50, 50))
    assert (windows.remaining_minute, windows.remaining_day, windows.remaining_key) == (0, 0, 0)


def test_borders_of_minute_and_day() -> None:
    assert left_ms(NOW) == MINUTE_MS
    assert left_ms(NOW - 1) == 1
    midnight = NOW // DAY_MS * DAY_MS
    assert day_wait_ms(midnight) == DAY_MS
    assert day_wait_ms(midnight - 1) == 1
