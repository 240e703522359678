"""A clock for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    ms: int = 1_780_000_000_000

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, tz=UTC)

    def now_ms(self) -> int:
        return self.ms

    def stopwatch_ms(self) -> int:
        return self.ms

    def advance(self, **by: float) -> None:
        """Move it forward: `advance(days=3, hours=1)`."""
        self.ms += round(timedelta(**by).total_seconds() * 1000)
