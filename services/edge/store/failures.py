"""Failed authentications by client address: counted in Redis for all edges, in this process while Redis is away.

Blocks are remembered here, so a blocked address costs no round trip; a good key is never asked about its address.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.redis import keys
from libs.common.redis.client import Redis, RedisAway, StoreRefused
from libs.common.redis.scripts import load_script
from libs.common.telemetry.metrics import Counter
from services.edge.domain.address import network_of

FAILURES_MAX: Final = 10  # in one window; the tenth blocks
WINDOW_MS: Final = 60_000
BLOCK_MS_FIRST: Final = 60_000
BLOCK_MS_MAX: Final = 3_600_000  # doubled up to this
QUIET_MS: Final = 86_400_000  # after a day without failures all is forgotten
ADDRESSES_MAX: Final = 20_000  # remembered in this process

_FAILURES: Final = load_script(__package__, "failures.lua")
BLOCKS = Counter("fangate_auth_blocks_total", "Client addresses blocked for failed authentications")


@dataclass(slots=True)
class _Tally:
    """What the script keeps in a hash; times of the stopwatch."""

    count: int = 0
    since: int = 0
    until: int = 0
    step: int = 0
    touched: int = 0


class CountedFailures:
    """The `Failures` port."""

    def __init__(self, redis: Redis, clock: Clock, *, prefix: str = "", scope: str = "") -> None:
        """`scope` tells one kind of failures from another."""
        self._redis = redis
        self._clock = clock
        self._prefix = prefix
        self._scope = scope
        self._blocked: OrderedDict[str, int] = OrderedDict()  # address -> until, of the stopwatch
        self._tallies: OrderedDict[str, _Tally] = OrderedDict()

    def blocked_ms(self, address: str) -> int:
        until = self._blocked.get(network_of(address))
        return 0 if until is None else max(0, until - self._clock.stopwatch_ms())

    async def count(self, address: str) -> None:
        network = network_of(address)
        try:
            blocked_ms = await self._redis.run(
                _FAILURES,
                lambda _: (keys.failures(self._scope + network, prefix=self._prefix),),
                lambda _: (FAILURES_MAX, WINDOW_MS, BLOCK_MS_FIRST, BLOCK_MS_MAX),
            )
        except (RedisAway, StoreRefused):
            blocked_ms = self._count_here(network)
        if blocked_ms > 0:
            BLOCKS.inc()
            self._blocked[network] = self._clock.stopwatch_ms() + int(blocked_ms)
            self._blocked.move_to_end(network)
            if len(self._blocked) > ADDRESSES_MAX:
                self._blocked.popitem(last=False)

    def _count_here(self, network: str) -> int:
        """The script's rule, on this process's memory."""
        now = self._clock.stopwatch_ms()
        tally = self._tallies.setdefault(network, _Tally(since=now, touched=now))
        self._tallies.move_to_end(network)
        if len(self._tallies) > ADDRESSES_MAX:
            self._tallies.popitem(last=False)
        if tally.until > now:
            return tally.until - now
        if now - tally.touched >= QUIET_MS:
            tally.step = 0
        if now - tally.since >= WINDOW_MS:
            tally.count, tally.since = 0, now
        tally.count, tally.touched = tally.count + 1, now
        if tally.count >= FAILURES_MAX:
            tally.count, tally.since = 0, now
            tally.until = now + min(BLOCK_MS_FIRST << min(tally.step, 16), BLOCK_MS_MAX)
            tally.step += 1
        return max(0, tally.until - now)
