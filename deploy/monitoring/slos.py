"""The objectives, and the recording rules and burn-rate alerts that follow from each.

Per objective the share of bad events is recorded over eight windows. A page goes out when the error budget of 30 days
burns 14.4 times too fast (seen in 5 minutes and in an hour: 2 % of it gone) or 6 times (30 minutes and 6 hours: 5 %), a
ticket at 3 times (2 hours and a day) or at the budget's own pace (6 hours and 3 days). The short window of each pair ends
the alert soon after the trouble. After the Site Reliability Workbook, chapter 5.
"""

from dataclasses import dataclass
from typing import Any, Final

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
PAGE_HOLD: Final = "2m"
TICKET_HOLD: Final = "15m"
# (pace, long window, short window)
_PAGES: Final = ((14.4, "1h", "5m"), (6, "6h", "30m"))
_TICKETS: Final = ((3, "1d", "2h"), (1, "3d", "6h"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """`target` percent of the events are good. `bad` and `total` are rates with `{window}` in them; where events cannot be
    counted, `bad` alone is a share between 0 and 1 at a moment, and its average is taken.
    """

    name: str  # of the recording rules: `fangate:<name>:errors`
    alert: str
    target: float
    promise: str
    bad: str
    total: str = ""

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.target / 100, 9)

    def record(self, window: str) -> str:
        """The name of the recorded share."""
        return f"fangate:{self.name}:errors_{window}"

    def recordings(self) -> list[dict[str, Any]]:
        """The share of bad events over every window; the longest is the mean of the shortest, not to read 30 days of raw data."""
        rules = []
        for window in WINDOWS:
            if window == WINDOWS[-1]:
                expr = f"avg_over_time({self.record(WINDOWS[0])}[{window}])"
            elif self.total:
                expr = f"({self.bad.format(window=window)})\n/\n({self.total.format(window=window)} > 0)"
            else:
                expr = f"avg_over_time(({self.bad.format()})[{window}:1m])"
            rules.append({"record": self.record(window), "expr": expr})
        return rules

    def alerts(self, *, runbooks: str) -> list[dict[str, Any]]:
        """The page and the ticket."""
        return [
            self._alert("page", f"{self.alert}Burns", _PAGES, PAGE_HOLD, runbooks),
            self._alert("ticket", f"{self.alert}Leaks", _TICKETS, TICKET_HOLD, runbooks),
        ]

    def _alert(
        self, severity: str, name: str, pairs: tuple[tuple[float, str, str], ...], hold: str, runbooks: str
    ) -> dict[str, Any]:
        both = (
            f"({self.record(long)} > {pace} * {self.budget} and {self.record(short)} > {pace} * {self.budget})"
            for pace, long, short in pairs
        )
        return {
            "alert": name,
            "expr": "\nor\n".join(both),
            "for": hold,
            "labels": {"severity": severity, "objective": self.name},
            "annotations": {
                "summary": f"{self.promise}: {{{{ $value | humanizePercentage }}}} are not",
                "runbook_url": f"{runbooks}#{self.alert.lower()}",
            },
        }


OBJECTIVES: Final = (
    Objective(
        name="availability", alert="FangateAvailability", target=99.9,
        promise="99.9 % of the requests are answered, failures of the platforms left out",
        bad='sum(rate(fangate_http_requests_total{{status_class="5xx",reason="ours"}}[{window}])) or vector(0)',
        total='sum(rate(fangate_http_requests_total{{reason!="upstream"}}[{window}]))',
    ),
    Objective(
        name="overhead", alert="FangateOverhead", target=99.0,
        promise="99 % of the proxied calls take less than 25 ms beyond the platform's own time",
        bad=(
            "sum(rate(fangate_gateway_overhead_seconds_count[{window}]))"
            ' - sum(rate(fangate_gateway_overhead_seconds_bucket{{le="0.025"}}[{window}]))'
        ),
        total="sum(rate(fangate_gateway_overhead_seconds_count[{window}]))",
    ),
    Objective(
        name="debits", alert="FangateDebits", target=99.9,
        promise="99.9 % of the batches of debits are in the ledger within 5 s of their oldest call",
        bad=(
            "sum(rate(fangate_ledger_lag_seconds_count[{window}]))"
            ' - sum(rate(fangate_ledger_lag_seconds_bucket{{le="5.0"}}[{window}]))'
        ),
        total="sum(rate(fangate_ledger_lag_seconds_count[{window}]))",
    ),
    Objective(
        name="sessions", alert="FangateSessions", target=99.0,
        promise="99 % of the sessions are renewed before they end",
        bad=(
            "max(fangate_session_refreshes_overdue)"
            ' / clamp_min(sum(max by (state) (fangate_models{{state=~"connected|refreshing"}})), 1)'
        ),
    ),
)  # fmt: skip
