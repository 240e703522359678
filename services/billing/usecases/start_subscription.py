"""Subscribe an organization to a plan and give it the first period's credits."""

from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import Clock
from services.billing.domain.errors import AlreadySubscribed, UnknownPlan
from services.billing.domain.plan import ACTIVE, CANCELLED, Subscription, period_end
from services.billing.domain.ports import Ledger
from services.billing.usecases.periods import Periods


class StartSubscription:
    """Start `plan` now: organization, subscription, plan bucket for the period, and the event that tells auth the limits.

    Starting the same plan again says the event again and changes nothing else. Who ended at once and comes back within the
    period goes on in it: what it granted is not granted again. Raises UnknownPlan, AlreadySubscribed.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._periods = periods

    async def __call__(self, org_id: UUID, plan_code: str) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            plan = await tx.plan(plan_code)
            if plan is None:
                raise UnknownPlan(f"There is no plan {plan_code!r}")
            await tx.add_organization(org_id)
            await tx.lock([org_id])
            subscription = await tx.subscription(org_id)
            if subscription is not None:
                subscription = await self._periods.catch_up(tx, subscription, now)
                if subscription.status != CANCELLED:
                    if subscription.plan.code != plan.code:
                        raise AlreadySubscribed(f"The organization subscribes to {subscription.plan.code}")
                    await self._periods.say(tx, subscription, now)
                    return subscription
            if subscription is not None and now < subscription.period_end:
                subscription = replace(subscription, plan=plan, status=ACTIVE)
                subscription = await self._periods.grant_extra(tx, subscription, now, held=0)
            else:
                start = now.replace(microsecond=0)
                subscription = Subscription(
                    org_id=org_id,
                    plan=plan,
                    status=ACTIVE,
                    period_start=start,
                    period_end=period_end(start, start.day),
                    anchor_day=start.day,
                )
                subscription = await self._periods.begin(tx, subscription, start, subscription.period_end)
            return await self._periods.write(tx, subscription, now)
