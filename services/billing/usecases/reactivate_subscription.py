"""Bring a subscription back: the debt is settled, or the cancellation is taken back."""

from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import Clock
from services.billing.domain.plan import ACTIVE, Subscription, period_from
from services.billing.domain.ports import Ledger
from services.billing.usecases.periods import Periods


class ReactivateSubscription:
    """Active again, on the old anchor day. In a period that runs, with what is left of its credits; after its end in the
    period that contains now, with that period's credits once (the ones between were not paid and grant nothing).

    Repeating it is safe. Raises NoSubscription for an organization that never had one.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._periods = periods

    async def __call__(self, org_id: UUID) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            subscription = await self._periods.current(tx, org_id, now)
            active = replace(subscription, status=ACTIVE, cancels=False, past_due_since=None)
            if active == subscription:
                return subscription
            if active.period_end <= now:
                start, end = period_from(active.period_end, active.anchor_day, now)
                active = await self._periods.begin(tx, active, start, end)
            return await self._periods.write(tx, active, now)
