"""Calls that no window of a plan or a key counts (an app's at the token endpoint): counted in Redis for all edges, in this process
while Redis is away.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.redis import keys
from libs.common.redis.client import Redis, RedisAway, StoreRefused
from libs.common.redis.scripts import load_script

WINDOW_MS: Final = 60_000
REMEMBERED_MAX: Final = 20_000  # counted in this process; the longest unseen goes first

_PACE: Final = load_script(__package__, "pace.lua")


@dataclass(slots=True)
class _Window:
    """What the script keeps; a time of the stopwatch."""

    since: int
    count: int = 0


class CountedCalls:
    """The `Pace` port."""

    def __init__(
        self, redis: Redis, clock: Clock, *, calls_max: int, window_ms: int = WINDOW_MS, prefix: str = ""
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._calls_max = calls_max
        self._window_ms = window_ms
        self._prefix = prefix
        self._here: OrderedDict[str, _Window] = OrderedDict()

    async def take(self, who: str) -> int:
        try:
            return int(await self._run(who, 1))
        except (RedisAway, StoreRefused):
            return self._take_here(who)

    async def give_back(self, who: str) -> None:
        try:
            await self._run(who, 0)
        except (RedisAway, StoreRefused):
            window = self._here.get(who)
            if window is not None and window.count > 0:
                window.count -= 1

    async def _run(self, who: str, takes: int) -> int:
        found: int = await self._redis.run(
            _PACE,
            lambda _: (keys.pace(who, prefix=self._prefix),),
            lambda _: (self._calls_max, self._window_ms, takes),
        )
        return found

    def _take_here(self, who: str) -> int:
        """The script's rule, on this process's memory."""
        now = self._clock.stopwatch_ms()
        window = self._here.get(who)
        if window is None or now - window.since >= self._window_ms:
            window = self._here[who] = _Window(since=now)
        self._here.move_to_end(who)
        if len(self._here) > REMEMBERED_MAX:
            self._here.popitem(last=False)
        if window.count >= self._calls_max:
            return max(1, window.since + self._window_ms - now)
        window.count += 1
        return 0
