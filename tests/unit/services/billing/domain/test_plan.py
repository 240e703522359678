"""Periods: the anchor day survives short months."""

import calendar
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import id_ms
from services.billing.domain.plan import low_percents, period_end, period_grant_id


def test_the_31st_is_clamped_and_comes_back() -> None:
    start = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)

    february = period_end(start, 31)
    march = period_end(february, 31)

    assert (february, march) == (datetime(2027, 2, 28, 9, 30, tzinfo=UTC), datetime(2027, 3, 31, 9, 30, tzinfo=UTC))
    assert period_end(datetime(2028, 1, 31, tzinfo=UTC), 31) == datetime(2028, 2, 29, tzinfo=UTC)
    assert period_end(datetime(2026, 12, 15, tzinfo=UTC), 15) == datetime(2027, 1, 15, tzinfo=UTC)


@given(st.integers(1_577_836_800, 3_786_912_000).map(lambda at: datetime.fromtimestamp(at, UTC)), st.integers(1, 48))
def test_periods_follow_each_other_and_keep_the_anchor(start: datetime, months: int) -> None:
    at = start
    for _ in range(months):
        end = period_end(at, start.day)
        assert timedelta(days=28) <= end - at <= timedelta(days=31)
        assert end.day == min(start.day, calendar.monthrange(end.year, end.month)[1])
        assert end.time() == start.time()
        at = end


def test_a_period_is_counted_in_utc() -> None:
    east = datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=9)))  # still October in UTC

    assert period_end(east, 31) == datetime(2026, 11, 30, 16, tzinfo=UTC)


def test_a_period_s_grant_has_one_id() -> None:
    org_id, start = uuid.UUID(int=3), datetime(2026, 11, 20, tzinfo=UTC)

    assert period_grant_id(org_id, start) == period_grant_id(org_id, start)
    assert period_grant_id(org_id, start) != period_grant_id(uuid.UUID(int=4), start)
    assert period_grant_id(org_id, start) != period_grant_id(org_id, start + timedelta(milliseconds=1))
    assert id_ms(period_grant_id(org_id, start)) == int(start.timestamp() * 1000)


@pytest.mark.parametrize(
    ("balance", "reached"), [(21, []), (20, [20]), (6, [20]), (5, [20, 5]), (1, [20, 5]), (0, [20, 5, 0])]
)
def test_thresholds_of_a_low_balance(balance: int, reached: list[int]) -> None:
    assert low_percents(balance, 100) == reached
