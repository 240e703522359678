"""What a subscription may have granted, worked out a second time: from the anchor date by whole months, without a timer."""

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

ALLOWANCES = {"free": 100, "basic": 1_000, "pro": 5_000, "scale": 100_000, "enterprise": 1_000_000}
_MICROSECOND = timedelta(microseconds=1)


@dataclass
class Expected:
    """One organization's subscription and the plan credits it should have been granted: (Unix milliseconds, amount)."""

    status: str = "none"
    plan: str = ""
    next_plan: str | None = None
    cancels: bool = False
    origin: datetime = field(
        default_factory=lambda: datetime.min.replace(tzinfo=UTC)
    )  # the first period's start; its day is the anchor
    month: int = 0  # which period since then
    held: int = 0  # the largest allowance in this period
    granted: int = 0  # in this period
    periods: int = 0  # begun
    grants: Counter[tuple[int, int]] = field(default_factory=Counter)

    def start_of(self, month: int) -> datetime:
        index = self.origin.month - 1 + month
        year, month_of_year = self.origin.year + index // 12, index % 12 + 1
        last = calendar.monthrange(year, month_of_year)[1]
        return self.origin.replace(year=year, month=month_of_year, day=min(self.origin.day, last))

    @property
    def end(self) -> datetime:
        return self.start_of(self.month + 1)

    def catch_up(self, now: datetime) -> None:
        while self.status in ("active", "past_due") and self.end <= now:
            if self.cancels:
                self._over()
            elif self.status == "active":
                self._begin(self.month + 1)
            else:
                return

    def begin_at(self, now: datetime, plan: str) -> None:
        self.catch_up(now)
        assert self.status in ("none", "cancelled")
        if self.status == "cancelled" and now < self.end:
            self.status, self.plan = "active", plan
            self._extra(now, Fraction(0))
            return
        self.status, self.plan, self.origin = "active", plan, now.replace(microsecond=0)
        self._begin(0)

    def change(self, now: datetime, plan: str) -> bool:
        """False: it must be refused."""
        self.catch_up(now)
        if self.status != "active":
            return False
        before, self.cancels, self.next_plan = self.plan, False, None
        if ALLOWANCES[plan] > ALLOWANCES[before]:
            self.plan = plan
            self._extra(now, self._rest(now) * ALLOWANCES[before])
        elif plan != before:
            self.next_plan = plan
        return True

    def cancel(self, now: datetime) -> None:
        self.catch_up(now)
        if self.status == "past_due" and self.end <= now:
            self._over()
        elif self.status != "cancelled" and not self.cancels:
            self.cancels, self.next_plan = True, None

    def fall_due(self, now: datetime) -> bool:
        """False: it must be refused."""
        self.catch_up(now)
        if self.status == "cancelled":
            return False
        self.status = "past_due"
        return True

    def reactivate(self, now: datetime) -> None:
        self.catch_up(now)
        self.status, self.cancels = "active", False
        if self.end <= now:
            month = self.month + 1
            while self.start_of(month + 1) <= now:
                month += 1
            self._begin(month)

    def end_now(self, now: datetime) -> None:
        self.catch_up(now)
        self._over()

    def _over(self) -> None:
        self.status, self.cancels, self.next_plan = "cancelled", False, None

    def _begin(self, month: int) -> None:
        self.month, self.plan, self.next_plan = month, self.next_plan or self.plan, None
        self.held, self.granted, self.periods = ALLOWANCES[self.plan], 0, self.periods + 1
        self._grant(self.start_of(month), ALLOWANCES[self.plan])

    def _rest(self, now: datetime) -> Fraction:
        start = self.start_of(self.month)
        return Fraction((self.end - now) // _MICROSECOND, (self.end - start) // _MICROSECOND)

    def _extra(self, now: datetime, held: Fraction) -> None:
        wanted = int(self._rest(now) * ALLOWANCES[self.plan]) - int(held)
        self.held = max(self.held, ALLOWANCES[self.plan])
        self._grant(now, max(0, min(wanted, self.held - self.granted)))

    def _grant(self, at: datetime, amount: int) -> None:
        if amount:
            self.granted += amount
            self.grants[(int(at.timestamp() * 1000), amount)] += 1
