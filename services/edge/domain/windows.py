"""The three windows of a caller: how much is left, when it refills, and how long a refused caller must wait.

Pure arithmetic in integer milliseconds over the counters that the admission script returns; the counting itself is the
script's (`store/admission.lua`) or, without Redis, `store/local.py`'s.
"""

from typing import Final

import msgspec

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


class Counters(msgspec.Struct, frozen=True):
    """What stands in the windows at `now_ms` (of the clock that counts). `previous` is the minute before this one."""

    now_ms: int
    minute: int
    previous: int
    day: int
    key: int


class Limits(msgspec.Struct, frozen=True):
    """Calls allowed; `key` 0 = the key has no window of its own."""

    minute: int
    day: int
    key: int


class Window(msgspec.Struct, frozen=True):
    """One window as shown to a caller: `reset_at_s` in Unix seconds; `wait_ms` > 0 only if it refuses the next call."""

    name: str  # minute | day | key
    limit: int
    remaining: int
    reset_at_s: int
    wait_ms: int = 0

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, at least 1, never too early."""
        return max(1, -(-self.wait_ms // 1000))


class Windows(msgspec.Struct, frozen=True):
    """Limits and counters together: the headroom that `_meta` and the headers show."""

    limits: Limits
    counters: Counters

    @property
    def remaining_minute(self) -> int:
        return max(0, self.limits.minute - minute_estimate(self.counters))

    @property
    def remaining_day(self) -> int:
        return max(0, self.limits.day - self.counters.day)

    @property
    def remaining_key(self) -> int:
        return max(0, self.limits.key - self.counters.key)

    def shown(self) -> Window:
        """The window of the X-RateLimit headers: the key's if there is one, else the organization's minute."""
        reset_at_s = (self.counters.now_ms // MINUTE_MS + 1) * 60
        if self.limits.key > 0:
            return Window("key", self.limits.key, self.remaining_key, reset_at_s)
        return Window("minute", self.limits.minute, self.remaining_minute, reset_at_s)

    def refusing(self) -> Window | None:
        """The window with the longest wait among those that refuse one more call; None if all let it pass."""
        limits, now = self.limits, self.counters
        found: list[Window] = []
        minute_end_s = (now.now_ms // MINUTE_MS + 1) * 60
        if minute_estimate(now) + 1 > limits.minute:
            wait_ms = minute_wait_ms(limits.minute, now.minute, now.previous, now.now_ms)
            found.append(Window("minute", limits.minute, 0, minute_end_s, wait_ms))
        if now.day + 1 > limits.day:
            found.append(Window("day", limits.day, 0, (now.now_ms // DAY_MS + 1) * 86_400, day_wait_ms(now.now_ms)))
        if limits.key > 0 and now.key + 1 > limits.key:
            found.append(Window("key", limits.key, 0, minute_end_s, left_ms(now.now_ms)))
        return max(found, key=lambda window: window.wait_ms) if found else None


def left_ms(now_ms: int) -> int:
    """Milliseconds to the end of the aligned minute, 1 to 60,000."""
    return MINUTE_MS - now_ms % MINUTE_MS


def minute_estimate(now: Counters) -> int:
    """The sliding count: this minute's calls and the share of the previous minute's that still weighs."""
    return now.previous * left_ms(now.now_ms) // MINUTE_MS + now.minute


def minute_wait_ms(limit: int, current: int, previous: int, now_ms: int) -> int:
    """How long until the sliding window lets one more call pass, if none is counted meanwhile: the least wait that
    suffices. A limit of 0 never lets one pass; the answer then is the end of the minute.
    """
    left = left_ms(now_ms)
    if current + 1 > limit:
        # Not within this minute: in the next one, `current` weighs as the previous count.
        if limit == 0:
            return left
        return left + MINUTE_MS - min(MINUTE_MS, (MINUTE_MS * limit - 1) // current)
    return left - (MINUTE_MS * (limit - current) - 1) // previous


def day_wait_ms(now_ms: int) -> int:
    """To the next UTC midnight."""
    return DAY_MS - now_ms % DAY_MS
