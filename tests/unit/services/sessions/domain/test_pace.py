"""The bucket: a burst, then a steady rate; a pause that the platform asked for."""

from hypothesis import given
from hypothesis import strategies as st

from services.sessions.domain.pace import Bucket, Rate

RATE = Rate(per_minute=60, burst=3)


def test_a_burst_goes_at_once_and_then_one_a_second() -> None:
    bucket, waits = Bucket(), []
    for _ in range(6):
        waits.append(bucket.wait_ms(RATE, 0))
        bucket.take(RATE, 0)
    assert waits == [0, 0, 0, 1_000, 2_000, 3_000]


def test_a_rest_fills_the_bucket_and_not_more() -> None:
    bucket = Bucket()
    for _ in range(3):
        bucket.take(RATE, 0)
    assert bucket.wait_ms(RATE, 1_000) == 0
    for _ in range(3):
        bucket.take(RATE, 3_600_000)
    assert bucket.wait_ms(RATE, 3_600_000) == 1_000


def test_a_pause_delays_the_next_and_those_behind_it() -> None:
    bucket = Bucket(held_until_ms=5_000)
    assert bucket.wait_ms(RATE, 0) == 5_000
    for _ in range(3):
        bucket.take(RATE, 0)
    assert bucket.wait_ms(RATE, 0) == 6_000


@given(
    st.integers(1, 6_000), st.integers(1, 50), st.lists(st.integers(0, 2_000), min_size=1, max_size=200)
)  # rate, burst, pauses between calls
def test_no_window_sees_more_than_the_burst_and_the_rate(per_minute: int, burst: int, pauses: list[int]) -> None:
    rate, bucket, now_ms, gone = Rate(per_minute, burst), Bucket(), 0.0, []
    for pause in pauses:
        now_ms += pause
        gone.append(now_ms + bucket.wait_ms(rate, now_ms))
        bucket.take(rate, now_ms)
    for first, begin in enumerate(gone):
        for last in range(first, len(gone)):
            allowed = burst + (gone[last] - begin) / rate.interval_ms
            assert last - first + 1 <= allowed + 1e-6
