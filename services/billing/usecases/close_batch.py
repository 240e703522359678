"""End a batch lease without a debit: what is left of it returns."""

from libs.common.clock import Clock
from libs.common.contracts.billing import CloseLease
from libs.common.errors import Permanent
from services.billing.domain.lease import BATCH_REF, Holder, Lease, LeaseState
from services.billing.domain.ports import Ledger


class CloseBatch:
    """Close the lease. Unknown: a closed row of amount 0 is written, so that an open which was overtaken is refused.

    Repeating it is safe. Raises Permanent for a lease of another organization or holder.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, request: CloseLease) -> None:
        async with self._ledger.transaction() as tx:
            await tx.add_organization(request.org_id)
            await tx.lock([request.org_id])
            now = self._clock.now()
            lease = (await tx.leases([request.lease_id])).get(request.lease_id)
            if lease is None:
                await tx.add_lease(
                    Lease(
                        id=request.lease_id,
                        org_id=request.org_id,
                        holder=Holder.BATCH,
                        ref=BATCH_REF,
                        amount=0,
                        state=LeaseState.FINAL,
                        burn_at=now,
                    )
                )
            elif lease.org_id != request.org_id or lease.holder is not Holder.BATCH:
                raise Permanent("a close names a lease that is not this organization's batch")
            else:
                await tx.finish_leases({lease.id: lease.org_id}, closing_only=False, at=now)
