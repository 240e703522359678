"""Note that an organization owes."""

from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import Clock
from services.billing.domain.errors import NoSubscription
from services.billing.domain.plan import CANCELLED, PAST_DUE, Subscription
from services.billing.domain.ports import Ledger
from services.billing.usecases.periods import Periods


class MarkPastDue:
    """Past due from now on: served while the grace lasts, then 402; not renewed until `reactivate`. Repeating it is safe.

    Raises NoSubscription.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._periods = periods

    async def __call__(self, org_id: UUID) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            subscription = await self._periods.current(tx, org_id, now)
            if subscription.status == CANCELLED:
                raise NoSubscription
            if subscription.status == PAST_DUE:
                return subscription
            return await self._periods.write(tx, replace(subscription, status=PAST_DUE, past_due_since=now), now)
