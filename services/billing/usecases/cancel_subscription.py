"""Let a subscription end with its period."""

from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.contracts.billing import SubscriptionManaged
from services.billing.domain.plan import CANCELLED, Subscription, ended
from services.billing.domain.ports import Ledger
from services.billing.usecases.periods import Periods


class CancelSubscription:
    """Cancel at the period's end; until then nothing changes. Repeating it is safe. `by`: the customer who asks, for the audit
    log; None: the operator. Raises NoSubscription.

    A debt whose period is over already has nothing to wait for: it ends now.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._periods = periods

    async def __call__(self, org_id: UUID, *, by: Actor | None = None) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            subscription = await self._periods.current(tx, org_id, now)
            if subscription.cancels or subscription.status == CANCELLED:
                return subscription
            if by is not None:
                await tx.say(SubscriptionManaged(org_id=org_id, action="cancel", by=by), org_id=org_id)
            if subscription.period_end <= now:
                return await self._periods.write(tx, ended(subscription), now)
            return await self._periods.write(tx, replace(subscription, cancels=True, next_plan=None), now)
