"""Change an organization's plan: up at once, down at the period's end."""

from uuid import UUID

from msgspec.structs import replace

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.contracts.billing import SubscriptionManaged
from services.billing.domain.errors import NoSubscription, PlanNotOpen, SubscriptionPastDue, UnknownPlan
from services.billing.domain.plan import ACTIVE, PAST_DUE, Subscription
from services.billing.domain.ports import Ledger
from services.billing.usecases.periods import Periods


class ChangePlan:
    """Change to `plan`. A larger one begins now, with the rest of the period's credits pro rata; a smaller one at the
    period's end. Naming the present plan takes back a change or a cancellation that waits for it. Repeating it is safe.

    `by`: the customer who asks, for the audit log; None: the operator, who alone may give a larger plan that is not open.
    Raises UnknownPlan, NoSubscription, SubscriptionPastDue (the debt comes first), PlanNotOpen.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._periods = periods

    async def __call__(self, org_id: UUID, plan_code: str, *, by: Actor | None = None) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            plan = await tx.plan(plan_code)
            if plan is None:
                raise UnknownPlan(f"There is no plan {plan_code!r}")
            subscription = await self._periods.current(tx, org_id, now)
            if subscription.status == PAST_DUE:
                raise SubscriptionPastDue
            if subscription.status != ACTIVE:
                raise NoSubscription
            before = subscription.plan
            if plan.code != before.code and not plan.is_beyond(before):
                changed = replace(subscription, next_plan=plan.code, cancels=False)
            elif plan.code != before.code and by is not None and not plan.is_open:
                raise PlanNotOpen
            else:
                changed = replace(subscription, plan=plan, next_plan=None, cancels=False)
                if plan.code != before.code:
                    changed = await self._periods.grant_extra(tx, changed, now, held=before.monthly_credits)
            if changed == subscription:
                return subscription
            if by is not None:
                details = {"plan": {"from": before.code, "to": plan.code}}
                managed = SubscriptionManaged(org_id=org_id, action="update", by=by, details=details)
                await tx.say(managed, org_id=org_id)
            return await self._periods.write(tx, changed, now)
