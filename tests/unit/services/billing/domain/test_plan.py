"""Periods: the anchor day survives short months."""

import calendar
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import id_ms
from services.billing.domain.plan import (
    Plan,
    Subscription,
    ended,
    expiry_id,
    extra_credits,
    low_percents,
    next_due,
    period_end,
    period_from,
    period_grant_id,
    upgrade_grant_id,
)


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


FREE, BASIC, PRO = (
    Plan(code=code, version=1, monthly_credits=monthly, per_minute=rpm, per_day=50_000)
    for code, monthly, rpm in [("free", 100, 10), ("basic", 1_000, 60), ("pro", 5_000, 300)]
)
DATES = st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31)).map(  # noqa: DTZ001 - hypothesis wants naive ones
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


def a_subscription(start: datetime, **changed: Any) -> Subscription:
    facts: dict[str, Any] = {
        "org_id": uuid.UUID(int=1), "plan": BASIC, "status": "active", "period_start": start,
        "period_end": period_end(start, start.day), "anchor_day": start.day, "allowance": BASIC.monthly_credits,
    }  # fmt: skip
    return Subscription(**facts | changed)


@given(DATES, st.integers(0, 400 * 86_400))
def test_the_period_of_a_moment_contains_it(start: datetime, seconds: int) -> None:
    at = start + timedelta(seconds=seconds)

    begins, ends = period_from(start, start.day, at)

    assert begins <= at < ends
    assert ends == period_end(begins, start.day)


def test_an_upgrade_is_larger_in_credits_first_then_in_limits() -> None:
    quicker = msgspec.structs.replace(BASIC, code="quick", per_minute=61)
    assert PRO.is_beyond(BASIC)
    assert quicker.is_beyond(BASIC)
    assert not BASIC.is_beyond(BASIC)
    assert not FREE.is_beyond(BASIC)


def test_half_a_period_gives_half_of_the_difference() -> None:
    one = a_subscription(datetime(2026, 4, 1, tzinfo=UTC))
    half = datetime(2026, 4, 16, tzinfo=UTC)

    assert extra_credits(one, PRO, granted=1_000, at=half, held=1_000) == 2_000
    assert extra_credits(one, PRO, granted=1_000, at=one.period_end, held=1_000) == 0
    assert extra_credits(one, PRO, granted=1_000, at=one.period_end + timedelta(days=9), held=1_000) == 0
    assert extra_credits(one, FREE, granted=1_000, at=half, held=1_000) == 0


@given(
    DATES,
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([FREE, BASIC, PRO]), st.booleans()), max_size=30),
)
def test_R022_no_way_up_and_down_within_a_period_grants_more_than_the_largest_plan(
    start: datetime, changes: list[tuple[float, Plan, bool]]
) -> None:
    """Whatever was held before, also nothing (after an end at once): I11."""
    one, granted = a_subscription(start), BASIC.monthly_credits
    for part, plan, comes_back in sorted(changes, key=lambda change: change[0]):
        at = start + (one.period_end - start) * part
        extra = extra_credits(one, plan, granted=granted, at=at, held=0 if comes_back else one.plan.monthly_credits)
        granted += extra
        largest = max(one.allowance, plan.monthly_credits)
        one = msgspec.structs.replace(one, plan=plan, allowance=largest)
        assert extra >= 0
        assert granted <= largest


def test_time_changes_a_subscription_at_the_period_s_end_and_at_the_grace_s() -> None:
    start, grace = datetime(2026, 1, 31, tzinfo=UTC), timedelta(days=3)
    one = a_subscription(start)
    owing = msgspec.structs.replace(one, status="past_due", past_due_since=start)

    assert next_due(one, grace, after=start) == one.period_end
    assert next_due(owing, grace, after=start) == start + grace
    assert next_due(owing, grace, after=start + grace) is None
    leaving = msgspec.structs.replace(owing, cancels=True)
    assert next_due(leaving, grace, after=start + grace) == one.period_end
    assert next_due(ended(one), grace, after=start) is None
    assert [owing.served_as(start + timedelta(days=days), grace) for days in (0, 2, 3)] == [
        "active", "active", "past_due",
    ]  # fmt: skip
    assert ended(owing).served_as(start, grace) == "cancelled"


def test_derived_ids_are_of_their_moment_and_of_their_organization() -> None:
    org_id, start, at = uuid.UUID(int=3), datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    upgrade, expiry = upgrade_grant_id(org_id, start, at, granted=100), expiry_id(org_id, 1_000, at)

    assert id_ms(upgrade) == id_ms(expiry) == int(at.timestamp() * 1000)
    assert len({upgrade, upgrade_grant_id(org_id, start, at, granted=101), expiry, expiry_id(org_id, 1_001, at)}) == 4
