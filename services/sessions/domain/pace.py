"""How fast a platform account may be called: a token bucket, reckoned as the time at which its next token is there.

Pure; times in milliseconds of a stopwatch.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` calls in the long run, `burst` of them at once after a rest. 0 per minute = no limit."""

    per_minute: int
    burst: int

    @property
    def interval_ms(self) -> float:
        return 60_000 / self.per_minute


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a platform says of its own limit: of `limit` calls in a window `remaining` are left until `reset_s` from now."""

    limit: int
    remaining: int
    reset_s: int


@dataclass(slots=True)
class Bucket:
    """`empty_until_ms`: when the bucket is full again, less the whole burst, is when the next call may go."""

    full_at_ms: float = 0.0
    held_until_ms: float = 0.0  # the platform asked for a pause
    learnt_per_minute: int = 0  # by the platform's own word; 0 = it said nothing

    def wait_ms(self, rate: Rate, now_ms: float) -> float:
        """How long the next call has to wait; 0 = it may go now."""
        by_rate = max(self.full_at_ms, now_ms) - now_ms - rate.interval_ms * (rate.burst - 1)
        return max(0.0, by_rate, self.held_until_ms - now_ms)

    def take(self, rate: Rate, now_ms: float) -> None:
        """Count one call; whoever takes after it waits behind it."""
        begins_ms = max(now_ms, self.held_until_ms)
        self.full_at_ms = max(self.full_at_ms, begins_ms) + rate.interval_ms
