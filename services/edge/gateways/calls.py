"""Who called: counted in memory, told to auth every few seconds in one message. Nothing is charged by it, so a call never waits.

For every key how often, on which surface, in which version; of a user's key each call by itself, which its owner can read.
"""

import asyncio
from collections import deque
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.edge import CALLS_COUNTED_MAX, CallsCounted, KeyCall, KeyCalls
from libs.common.contracts.wire import Outgoing, Publisher, encode
from libs.common.errors import Refused, Unconfirmed
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter

TELL_SECONDS: Final = 2.0
PUBLISH_SECONDS: Final = 5.0
COUNTS_MAX: Final = 50_000  # keys by surface and version; beyond, counts are lost and counted
CALLS_MAX: Final = 50_000  # single calls not yet told
DAY_MS: Final = 86_400_000

LOST = Counter("fangate_calls_lost_total", "Calls that were counted and could not be told")

_log = logger(__name__)
_Name = tuple[UUID, UUID, str, str, int]  # organization, key, surface, version, day


class CallCounts:
    """The port `CallLog` over a publisher; `run` must run in the background."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._counts: dict[_Name, list[int]] = {}  # -> calls, last at (Unix ms)
        self._calls: deque[KeyCall] = deque()
        self._message: Outgoing | None = None  # told, and not confirmed: the same bytes are told again

    def saw(self, org_id: UUID, key_id: UUID, *, surface: str, version: str) -> None:
        now_ms = self._clock.now_ms()
        name = (org_id, key_id, surface, version, now_ms // DAY_MS)
        count = self._counts.get(name)
        if count is not None:
            count[0] += 1
            count[1] = now_ms
        elif len(self._counts) < COUNTS_MAX:
            self._counts[name] = [1, now_ms]
        else:
            LOST.inc()

    def saw_users(self, call: KeyCall) -> None:
        if len(self._calls) >= CALLS_MAX:
            self._calls.popleft()
            LOST.inc()
        self._calls.append(call)

    async def run(self) -> None:
        """Tell what was seen, for ever."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            try:
                await self.flush()
            except Exception as exc:  # figures for people must not end an edge
                _log.error("calls could not be told", exc_info=exc)

    async def flush(self) -> None:
        """Tell all that was seen so far, unless the bus is away: then it waits for the next time. Raises nothing."""
        while self._message is not None or self._counts or self._calls:
            if self._message is None:
                self._message = self._next()
            try:
                await self._publisher.publish(self._message, timeout_s=PUBLISH_SECONDS)
            except (Refused, Unconfirmed):
                return
            self._message = None

    def _next(self) -> Outgoing:
        counts: list[KeyCalls] = []
        while self._counts and len(counts) < CALLS_COUNTED_MAX:
            (org_id, key_id, surface, version, _), (calls, last_at_ms) = self._counts.popitem()
            counts.append(
                KeyCalls(
                    org_id=org_id, key_id=key_id, surface=surface, version=version, calls=calls, last_at_ms=last_at_ms
                )
            )
        room = min(len(self._calls), CALLS_COUNTED_MAX - len(counts))
        single = tuple(self._calls.popleft() for _ in range(room))
        return encode(CallsCounted(counts=tuple(counts), calls=single))
