"""Principals by key digest: an LRU with a short life, a negative one beside it, and one question at a time per key.

The life is a bound, not the promise: revocation rests on the auth version that the admission script compares.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.telemetry.metrics import Counter
from services.edge.domain.ports import Credential, KeyDirectory

ENTRIES_MAX: Final = 50_000
AGE_MS_MAX: Final = 30_000
NEGATIVE_ENTRIES_MAX: Final = 50_000
NEGATIVE_AGE_MS_MAX: Final = 60_000  # a random digest cannot come to exist

LOOKS = Counter("fangate_auth_cache_total", "Look-ups of a key's principal in this process", ["result"])
_HIT, _MISS, _NEGATIVE = (LOOKS.labels(result) for result in ("hit", "miss", "negative"))


class CachedPrincipals:
    """Principals, remembered. `is_bypassed` says when nothing remembered may be used: broadcasts have been away too long."""

    def __init__(self, directory: KeyDirectory, clock: Clock, *, is_bypassed: Callable[[], bool]) -> None:
        self._directory = directory
        self._clock = clock
        self._is_bypassed = is_bypassed
        self._entries: OrderedDict[str, tuple[Principal, int]] = OrderedDict()  # digest -> principal, stopwatch ms
        self._by_org: dict[UUID, set[str]] = {}
        self._negatives: OrderedDict[str, int] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()  # digests that opened something, however long ago
        self._flights: dict[str, asyncio.Task[Principal | None]] = {}
        self._evictions = 0

    def known(self, credential: Credential) -> Principal | None:
        found = self._fresh(credential.id, AGE_MS_MAX)
        if found is not None:
            _HIT.inc()
        return found

    def was_good(self, credential: Credential) -> bool:
        return credential.id in self._good

    async def resolve(self, credential: Credential, *, age_ms_max: int | None = None) -> Principal | None:
        bound_ms = AGE_MS_MAX if age_ms_max is None else age_ms_max
        found = self._fresh(credential.id, bound_ms)
        if found is not None:
            return found
        asked_at = self._negatives.get(credential.id)
        if asked_at is not None and self._clock.stopwatch_ms() - asked_at < min(
            NEGATIVE_AGE_MS_MAX, bound_ms if age_ms_max is not None else NEGATIVE_AGE_MS_MAX
        ):
            _NEGATIVE.inc()
            return None
        _MISS.inc()
        return await self._fly(credential)

    async def resolve_anew(self, credential: Credential) -> Principal | None:
        running = self._flights.get(credential.id)
        if running is not None:
            # It began before our question, so its answer may predate what made us ask: wait for it, then ask again.
            with contextlib.suppress(Exception):  # its failure is its own callers' business
                await asyncio.shield(running)
        return await self._fly(credential)

    def evict(self, org_id: UUID) -> None:
        """Forget the principals of an organization."""
        self._evictions += 1
        for digest in self._by_org.pop(org_id, ()):
            self._entries.pop(digest, None)

    def clear(self) -> None:
        """Forget all."""
        self._evictions += 1
        self._entries.clear()
        self._by_org.clear()
        self._negatives.clear()

    def _fresh(self, digest: str, age_ms_max: int) -> Principal | None:
        entry = self._entries.get(digest)
        if entry is None or self._clock.stopwatch_ms() - entry[1] >= age_ms_max or self._is_bypassed():
            return None
        self._entries.move_to_end(digest)
        return entry[0]

    async def _fly(self, credential: Credential) -> Principal | None:
        task = self._flights.get(credential.id)
        if task is None:
            task = asyncio.create_task(self._ask(credential), name="resolve a key")
            self._flights[credential.id] = task
            task.add_done_callback(lambda _: self._flights.pop(credential.id, None))
        return await asyncio.shield(task)

    async def _ask(self, credential: Credential) -> Principal | None:
        evictions, asked_at = self._evictions, self._clock.stopwatch_ms()
        principal = await self._directory.find(credential.digests)
        self._note(credential.id, is_good=principal is not None)
        if principal is None:
            self._remember_negative(credential.id, asked_at)
        elif evictions == self._evictions:  # else something changed while we asked: true enough to use, not to keep
            self._remember(credential.id, principal, asked_at)
        return principal

    def _note(self, digest: str, *, is_good: bool) -> None:
        if not is_good:
            self._good.pop(digest, None)
            return
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > ENTRIES_MAX:
            self._good.popitem(last=False)

    def _remember(self, digest: str, principal: Principal, asked_at: int) -> None:
        self._entries[digest] = (principal, asked_at)
        self._entries.move_to_end(digest)
        self._by_org.setdefault(principal.org_id, set()).add(digest)
        if len(self._entries) > ENTRIES_MAX:
            self._drop(next(iter(self._entries)))

    def _remember_negative(self, digest: str, asked_at: int) -> None:
        if digest in self._entries:
            self._drop(digest)
        self._negatives[digest] = asked_at
        self._negatives.move_to_end(digest)
        if len(self._negatives) > NEGATIVE_ENTRIES_MAX:
            self._negatives.popitem(last=False)

    def _drop(self, digest: str) -> None:
        principal, _ = self._entries.pop(digest)
        siblings = self._by_org.get(principal.org_id)
        if siblings is not None:
            siblings.discard(digest)
            if not siblings:
                del self._by_org[principal.org_id]
