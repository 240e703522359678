"""End a subscription at once."""

from datetime import datetime
from uuid import UUID

from libs.common.clock import Clock
from services.billing.domain.bucket import BucketKind
from services.billing.domain.lease import Holder, LeaseRules, LeaseState, closing
from services.billing.domain.plan import CANCELLED, Subscription, ended
from services.billing.domain.ports import LeaseStore, Ledger, LedgerTx
from services.billing.usecases.periods import Periods


class EndSubscription:
    """Take back what counters hold, end the plan's buckets, cancel. Bought credits stay. Repeating it is safe.

    Without a `store`, counters go on to their own end. The buckets end when the last counter's lease would have: calls admitted from it are still paid by the plan. Raises
    NoSubscription.
    """

    def __init__(
        self, *, ledger: Ledger, store: LeaseStore | None, clock: Clock, rules: LeaseRules, periods: Periods
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._rules = rules
        self._periods = periods

    async def __call__(self, org_id: UUID) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            subscription = await self._periods.current(tx, org_id, now)
            if subscription.status == CANCELLED:
                return subscription
            end = await self._take_back(tx, org_id, now)
            plan_buckets = [
                bucket.id
                for bucket in await tx.buckets([org_id])
                if bucket.kind is BucketKind.PLAN and bucket.ends_at is not None and bucket.ends_at > end
            ]
            await tx.end_buckets(plan_buckets, end)
            return await self._periods.write(tx, ended(subscription), now)

    async def _take_back(self, tx: LedgerTx, org_id: UUID, now: datetime) -> datetime:
        """Close the counters' leases; answers when the last of them ends."""
        end = now
        for lease in await tx.live_leases(org_id):
            if lease.holder is not Holder.COUNTER or lease.not_after is None:
                continue
            end = max(end, lease.not_after)
            if lease.state is LeaseState.OPEN:
                store = self._store if lease.is_in_redis else None
                taken = await store.take(lease, close=True) if store is not None else None
                returned = taken if isinstance(taken, int) else None
                await tx.update_lease(closing(lease, returned=returned, at=now, rules=self._rules))
        return end
