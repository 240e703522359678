"""Set aside exactly what one takedown batch needs, all or nothing."""

from datetime import datetime
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.billing import LeaseOpened, OpenLease
from services.billing.domain.bucket import balance_at
from services.billing.domain.errors import (
    CreditsInUse,
    InsufficientCredits,
    LeaseClosed,
    LeaseConflict,
    LeaseInvalid,
    NoSubscription,
)
from services.billing.domain.lease import (
    BATCH_REF,
    Holder,
    Lease,
    LeaseRules,
    LeaseState,
    batch_burn_at,
    closing,
    free_credits,
    shrunk,
)
from services.billing.domain.ports import LeaseStore, Ledger, LedgerTx, Sleep
from services.billing.usecases.periods import Periods
from services.billing.usecases.turns import Turns


class OpenBatch:
    """Open the lease `lease_id` over `amount` credits; repeating it is safe. Needs credits, not a subscription.

    Raises InsufficientCredits (only if `amount` > balance), CreditsInUse (also after a recall and one more look), NoSubscription
    (frozen), LeaseClosed (its close came first), LeaseConflict (the id is taken), LeaseInvalid, Unavailable.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: LeaseStore,
        clock: Clock,
        rules: LeaseRules,
        periods: Periods,
        turns: Turns,
        sleep: Sleep,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._rules = rules
        self._periods = periods
        self._turns = turns
        self._sleep = sleep

    async def __call__(self, request: OpenLease) -> LeaseOpened:
        if request.lease_id is None or request.amount < 1:
            raise LeaseInvalid
        for is_last in (False, True):
            async with self._turns.of(request.org_id):
                opened, balance = await self._look(request, request.lease_id)
            if opened is not None:
                return opened
            if request.amount > balance:
                raise InsufficientCredits(required=request.amount, balance=balance)
            if not is_last:
                await self._sleep(self._rules.look_again_s)
        raise CreditsInUse

    async def _look(self, request: OpenLease, lease_id: UUID) -> tuple[LeaseOpened | None, int]:
        """The lease if there is one now, and the balance. Commits in either case: what was recalled has left Redis."""
        async with self._ledger.transaction() as tx:
            organization = (await tx.lock([request.org_id])).get(request.org_id)
            if organization is None:
                return None, 0
            if organization.is_frozen:
                raise NoSubscription
            now = self._clock.now()
            subscription = await tx.subscription(request.org_id)
            if subscription is not None:  # a period that ended just now is renewed before its credits are looked for
                await self._periods.catch_up(tx, subscription, now)
            known = (await tx.leases([lease_id])).get(lease_id)
            buckets = await tx.buckets([request.org_id])
            leases = await tx.live_leases(request.org_id)
            balance, free = balance_at(buckets, now), free_credits(buckets, leases, now)
            if known is not None:
                return _again(known, request, free), balance
            if free < request.amount:
                free = free_credits(buckets, await self._recall(tx, leases, now), now)
            if free < request.amount:
                return None, balance
            await tx.add_lease(
                Lease(
                    id=lease_id,
                    org_id=request.org_id,
                    holder=Holder.BATCH,
                    ref=BATCH_REF,
                    amount=request.amount,
                    burn_at=batch_burn_at(now),
                )
            )
        return LeaseOpened(lease_id=lease_id, granted=request.amount, rest=free - request.amount), balance

    async def _recall(self, tx: LedgerTx, leases: list[Lease], now: datetime) -> list[Lease]:
        """Take back what the counters in Redis have left; a counter without a clean answer is closed."""
        after: list[Lease] = []
        for lease in leases:
            if lease.is_in_redis and lease.state is LeaseState.OPEN:
                taken = await self._store.take(lease, close=False)
                if isinstance(taken, int):
                    lease = shrunk(lease, taken)  # noqa: PLW2901
                else:
                    lease = closing(lease, returned=None, at=now, rules=self._rules)  # noqa: PLW2901
                await tx.update_lease(lease)
            after.append(lease)
        return after


def _again(known: Lease, request: OpenLease, free: int) -> LeaseOpened:
    if known.state is LeaseState.FINAL:
        raise LeaseClosed
    if known.holder is not Holder.BATCH or known.org_id != request.org_id or known.amount != request.amount:
        raise LeaseConflict
    return LeaseOpened(lease_id=known.id, granted=known.amount, rest=free)
