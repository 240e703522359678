"""The port `Pace` in memory."""

import time
from dataclasses import dataclass, field


@dataclass
class CountedPace:
    """So many calls in a window that begins with the first."""

    calls_max: int
    window_ms: int = 60_000
    taken: dict[str, int] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    async def take(self, who: str) -> int:
        now = time.monotonic()
        if who not in self.since or now >= self.since[who] + self.window_ms / 1_000:
            self.taken[who], self.since[who] = 0, now
        if self.taken[who] >= self.calls_max:
            return max(1, int((self.since[who] - now) * 1_000) + self.window_ms)
        self.taken[who] += 1
        return 0

    async def give_back(self, who: str) -> None:
        if self.taken.get(who, 0) > 0:
            self.taken[who] -= 1
