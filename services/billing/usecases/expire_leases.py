"""End leases by time: stop those past their end from granting, and send the marker that makes them final."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.billing import LeaseExpired
from services.billing.domain.lease import LeaseRules, LeaseState, closing
from services.billing.domain.ports import LeaseStore, Ledger

_PER_RUN: Final = 500  # leases; the rest waits for the next run, 1 s later


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did."""

    closed: int
    unanswered: int  # of these, how many counters gave no clean answer
    marked: int


class ExpireLeases:
    """Close slabs past their end plus the clocks' skew, and batches that nobody ended; then send markers for leases whose
    fence has passed. The marker takes the ledger queue: whoever reads it has posted all usage before it, however long that
    took, so nothing is released by a clock. `is_finalising` False sends none (while shards move between queues).
    """

    def __init__(
        self, *, ledger: Ledger, store: LeaseStore, clock: Clock, rules: LeaseRules, is_finalising: bool = True
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._rules = rules
        self._is_finalising = is_finalising

    async def __call__(self) -> Expired:
        now = self._clock.now()
        ended = await self._ledger.leases_to_close(
            slabs_before=now - timedelta(seconds=self._rules.skew_s),
            batches_before=now - timedelta(seconds=self._rules.batch_life_s),
            limit=_PER_RUN,
        )
        answers = [await self._close(lease.org_id, lease.id) for lease in ended]
        marked = 0
        if self._is_finalising:
            for lease in await self._ledger.leases_to_finish(now, limit=_PER_RUN):
                marked += await self._mark(lease.org_id, lease.id)
        return Expired(closed=len(answers), unanswered=answers.count(False), marked=marked)

    async def _close(self, org_id: UUID, lease_id: UUID) -> bool:
        async with self._ledger.transaction() as tx:
            await tx.lock([org_id])
            lease = (await tx.leases([lease_id]))[lease_id]
            if lease.state is not LeaseState.OPEN:  # somebody was quicker
                return True
            taken = await self._store.take(lease, close=True) if lease.is_in_redis else 0
            returned = taken if isinstance(taken, int) and lease.is_in_redis else None
            await tx.update_lease(closing(lease, returned=returned, at=self._clock.now(), rules=self._rules))
            return isinstance(taken, int)

    async def _mark(self, org_id: UUID, lease_id: UUID) -> bool:
        async with self._ledger.transaction() as tx:
            await tx.lock([org_id])
            lease = (await tx.leases([lease_id]))[lease_id]
            now = self._clock.now()
            if lease.state is not LeaseState.CLOSING or lease.final_after is None or lease.final_after > now:
                return False
            if lease.is_in_redis:  # it grants nothing any more; its counter must not stand in the way of the next one
                await self._store.take(lease, close=True)
            again_at = now + timedelta(seconds=self._rules.marker_again_s)  # if this marker is still queued by then
            await tx.update_lease(msgspec.structs.replace(lease, final_after=again_at))
            await tx.say(LeaseExpired(org_id=org_id, lease_id=lease_id), org_id=org_id)
            return True
