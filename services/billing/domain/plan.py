"""Plans, subscriptions and their periods. Calendar arithmetic in UTC; nothing here moves credits."""

import calendar
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.ids import derived_id

LOW_PERCENTS = (20, 5, 0)  # of the period's allowance: warned at each, once per period


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization can subscribe to. Limits are calls."""

    code: str
    version: int
    monthly_credits: int
    per_minute: int
    per_day: int


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """An organization's plan in the period [period_start, period_end). `anchor_day` is kept through short months."""

    org_id: UUID
    plan: Plan
    status: str  # active | past_due | cancelled
    period_start: datetime
    period_end: datetime
    anchor_day: int


def period_end(start: datetime, anchor_day: int) -> datetime:
    """The end of the monthly period that starts at `start`: the anchor day of the next month, or that month's last day
    (31 January, 28 February, 31 March), at the same time of day in UTC.
    """
    start = start.astimezone(UTC)
    year, month = (start.year, start.month + 1) if start.month < 12 else (start.year + 1, 1)
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def period_grant_id(org_id: UUID, start: datetime) -> UUID:
    """The transfer id of a period's plan credits: whoever grants first, the second has no effect."""
    ms = int(start.timestamp() * 1000)
    return derived_id(ms, f"grant:{org_id}:{ms}")


def low_percents(balance: int, allowance: int) -> list[int]:
    """The thresholds that `balance` has reached or fallen below, the gravest last."""
    return [percent for percent in LOW_PERCENTS if balance * 100 <= allowance * percent]
