"""Plans, subscriptions, their periods and what may happen to them. Calendar arithmetic in UTC; nothing here moves credits."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from libs.common.ids import derived_id

LOW_PERCENTS = (20, 5, 0)  # of the period's allowance: warned at each, once per period
ACTIVE: Final = "active"
PAST_DUE: Final = "past_due"
CANCELLED: Final = "cancelled"
_TICK: Final = timedelta(microseconds=1)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization can subscribe to. Limits are calls."""

    code: str
    version: int
    monthly_credits: int
    per_minute: int
    per_day: int
    is_open: bool = False  # a customer may change up to it by itself

    def is_beyond(self, other: "Plan") -> bool:
        """Whether a change from `other` to this plan is an upgrade, which happens at once; else it waits for the period's end."""
        mine = (self.monthly_credits, self.per_minute, self.per_day)
        return mine > (other.monthly_credits, other.per_minute, other.per_day)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """An organization's plan in the period [period_start, period_end). `anchor_day` is kept through short months."""

    org_id: UUID
    plan: Plan
    status: str  # active | past_due | cancelled
    period_start: datetime
    period_end: datetime
    anchor_day: int
    next_plan: str | None = None  # from period_end on
    cancels: bool = False  # at period_end, instead of renewing
    past_due_since: datetime | None = None
    allowance: int = 0  # the largest monthly allowance held in this period: its grants never exceed that
    due_at: datetime | None = None  # when time alone changes something next

    def grace_ends_at(self, grace: timedelta) -> datetime | None:
        """Until when a past due subscription is still served; None if it is not past due."""
        return None if self.past_due_since is None else self.past_due_since + grace

    def served_as(self, at: datetime, grace: timedelta) -> str:
        """The status that others act on: a past due subscription counts as active while its grace lasts."""
        end = self.grace_ends_at(grace)
        return ACTIVE if self.status == PAST_DUE and end is not None and at < end else self.status


def ended(subscription: Subscription) -> Subscription:
    """`subscription`, over; its period stays, so that who comes back within it is granted nothing twice."""
    return msgspec.structs.replace(
        subscription, status=CANCELLED, cancels=False, next_plan=None, past_due_since=None, due_at=None
    )


def period_end(start: datetime, anchor_day: int) -> datetime:
    """The end of the monthly period that starts at `start`: the anchor day of the next month, or that month's last day
    (31 January, 28 February, 31 March), at the same time of day in UTC.
    """
    start = start.astimezone(UTC)
    year, month = (start.year, start.month + 1) if start.month < 12 else (start.year + 1, 1)
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def period_from(start: datetime, anchor_day: int, at: datetime) -> tuple[datetime, datetime]:
    """The monthly period that contains `at`, counted on from the one that starts at `start` (not after `at`)."""
    while (end := period_end(start, anchor_day)) <= at:
        start = end
    return start, end


def next_due(subscription: Subscription, grace: timedelta, *, after: datetime) -> datetime | None:
    """When, later than `after`, time alone changes the subscription: its period ends, or the grace of its debt does."""
    moments: list[datetime] = []
    is_past_due = subscription.status == PAST_DUE
    grace_end = subscription.grace_ends_at(grace)
    if is_past_due and grace_end is not None:
        moments.append(grace_end)
    if subscription.status == ACTIVE or (is_past_due and subscription.cancels):
        moments.append(subscription.period_end)
    return min((moment for moment in moments if moment > after), default=None)


def extra_credits(subscription: Subscription, plan: Plan, *, granted: int, at: datetime, held: int) -> int:
    """What a change to `plan` at `at` grants for the rest of the period, from `held` credits a month to the plan's.

    Pro rata by the rest of the period, and capped so that all grants of a period (`granted` so far) stay within the
    largest allowance held in it: going up and down, or ending and coming back, farms nothing.
    """
    total = (subscription.period_end - subscription.period_start) // _TICK
    rest = max(timedelta(0), subscription.period_end - at) // _TICK
    extra = plan.monthly_credits * rest // total - held * rest // total
    return max(0, min(extra, max(subscription.allowance, plan.monthly_credits) - granted))


def upgrade_grant_id(org_id: UUID, period_start: datetime, at: datetime, *, granted: int) -> UUID:
    """The transfer id of extra credits: `granted`, all plan credits of the period so far, rises with each such grant."""
    period_ms = int(period_start.timestamp() * 1000)
    return derived_id(int(at.timestamp() * 1000), f"upgrade:{org_id}:{period_ms}:{granted}")


def expiry_id(org_id: UUID, bucket_id: int, ended_at: datetime) -> UUID:
    """The transfer id of what expires with a bucket."""
    return derived_id(int(ended_at.timestamp() * 1000), f"expire:{org_id}:{bucket_id}")


def period_grant_id(org_id: UUID, start: datetime) -> UUID:
    """The transfer id of a period's plan credits: whoever grants first, the second has no effect."""
    ms = int(start.timestamp() * 1000)
    return derived_id(ms, f"grant:{org_id}:{ms}")


def low_percents(balance: int, allowance: int) -> list[int]:
    """The thresholds that `balance` has reached or fallen below, the gravest last."""
    return [percent for percent in LOW_PERCENTS if balance * 100 <= allowance * percent]
