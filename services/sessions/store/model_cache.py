"""Models and their opened sessions in memory, so that a call on a warm model costs no round trip to Postgres.

Every process looks once a second for models that others changed. Missing a look is bounded by the age of an entry; being
wrong for that second is harmless: a session that was replaced or ended is refused by the platform, and then the truth is asked.
"""

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock
from libs.common.db.errors import DatabaseAway
from libs.common.telemetry.metrics import Counter
from services.sessions.domain.account import Holder
from services.sessions.domain.ports import Live
from services.sessions.store.postgres import PostgresModels

ENTRIES_MAX: Final = 10_000  # about 1 KB each
AGE_MS_MAX: Final = 60_000  # without any word from Postgres an entry is believed this long
HOLDERS_AGE_MS: Final = 1_000  # who holds an account number is asked again after this time
OVERLAP_SECONDS: Final = 15.0  # each look covers more than the time since the last: commits become visible late

_READS = Counter("fangate_model_cache_total", "Look-ups of models", ["result"])


class CachedModels:
    """The port `Models` before `PostgresModels`."""

    def __init__(self, truth: PostgresModels, clock: Clock) -> None:
        self._truth = truth
        self._clock = clock
        self._entries: OrderedDict[uuid.UUID, tuple[int, Live]] = (
            OrderedDict()
        )  # oldest use first; (known since, model)
        self._holders: OrderedDict[tuple[uuid.UUID, str], tuple[int, Sequence[Holder]]] = OrderedDict()
        self._hits = _READS.labels("hit")
        self._misses = _READS.labels("miss")

    async def find(self, org_id: uuid.UUID, model_id: uuid.UUID) -> Live | None:
        entry = self._entries.get(model_id)
        if entry is not None and self._clock.stopwatch_ms() - entry[0] <= AGE_MS_MAX:
            self._hits.inc()
            self._entries.move_to_end(model_id)
            return entry[1] if entry[1].model.org_id == org_id else None
        self._misses.inc()
        live = await self._truth.find(org_id, model_id)
        if live is not None:
            self.remember(live)
        return live

    async def holders(self, org_id: uuid.UUID, account: str) -> Sequence[Holder]:
        key = (org_id, account)
        known = self._holders.get(key)
        now = self._clock.stopwatch_ms()
        if known is not None and now - known[0] <= HOLDERS_AGE_MS:
            return known[1]
        try:
            found = await self._truth.holders(org_id, account)
        except DatabaseAway:
            if known is not None and now - known[0] <= AGE_MS_MAX:
                return known[1]
            raise
        if not found:
            self._holders.pop(key, None)  # made-up numbers must not push out real ones
            return found
        self._holders[key] = (now, found)
        self._holders.move_to_end(key)
        if len(self._holders) > ENTRIES_MAX:
            self._holders.popitem(last=False)
        return found

    def remember(self, live: Live) -> None:
        model_id = live.model.model_id
        known = self._entries.get(model_id)
        if known is not None and known[1].model.version > live.model.version:
            return  # read before the change that the entry already shows
        self._entries[model_id] = (self._clock.stopwatch_ms(), live)
        self._entries.move_to_end(model_id)
        if len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)

    def forget(self, model_id: uuid.UUID) -> None:
        self._entries.pop(model_id, None)

    async def look(self) -> None:
        """Drop what other processes changed; a timer runs it every second."""
        if not self._entries:
            return
        for model_id, version in (await self._truth.changed_lately(OVERLAP_SECONDS)).items():
            entry = self._entries.get(model_id)
            if entry is not None and entry[1].model.version < version:
                del self._entries[model_id]
