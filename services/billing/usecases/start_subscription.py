"""Subscribe an organization to a plan and give it the first period's credits."""

from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.billing import SubscriptionChanged
from services.billing.domain.bucket import BucketKind, balance_at
from services.billing.domain.errors import AlreadySubscribed, UnknownPlan
from services.billing.domain.ledger import ISSUANCE, Code, Transfer
from services.billing.domain.plan import Subscription, period_end, period_grant_id
from services.billing.domain.ports import Ledger, LedgerTx
from services.billing.usecases.announce import Announce


class StartSubscription:
    """Start `plan` now: organization, subscription, plan bucket for the period, and the event that tells auth the limits.

    Starting the same plan again says the event again and changes nothing else. Raises UnknownPlan, AlreadySubscribed.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, announce: Announce) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce

    async def __call__(self, org_id: UUID, plan_code: str) -> Subscription:
        now = self._clock.now()
        async with self._ledger.transaction() as tx:
            plan = await tx.plan(plan_code)
            if plan is None:
                raise UnknownPlan(f"There is no plan {plan_code!r}")
            await tx.add_organization(org_id)
            await tx.lock([org_id])
            subscription = await tx.subscription(org_id)
            if subscription is not None and subscription.status == "active":
                if subscription.plan.code != plan.code:
                    raise AlreadySubscribed(f"The organization subscribes to {subscription.plan.code}")
                await _say(tx, subscription)
                return subscription
            start = now.replace(microsecond=0)
            subscription = Subscription(
                org_id=org_id,
                plan=plan,
                status="active",
                period_start=start,
                period_end=period_end(start, start.day),
                anchor_day=start.day,
            )
            await tx.set_subscription(subscription)
            await self._grant_period(tx, subscription)
            await _say(tx, subscription)
            balance = balance_at(await tx.buckets([org_id]), now)
            await self._announce(tx, org_id, balance, credits_came=True)
        return subscription

    async def _grant_period(self, tx: LedgerTx, subscription: Subscription) -> None:
        id_ = period_grant_id(subscription.org_id, subscription.period_start)
        amount = subscription.plan.monthly_credits
        if amount == 0 or await tx.transfers([id_]):  # somebody granted this period already
            return
        bucket = await tx.add_bucket(
            subscription.org_id, BucketKind.PLAN, id_, subscription.period_start, subscription.period_end
        )
        await tx.append(
            [
                Transfer(
                    id=id_,
                    code=Code.GRANT,
                    amount=amount,
                    org_id=subscription.org_id,
                    debit_account=ISSUANCE,
                    credit_account=bucket,
                    memo=f"plan {subscription.plan.code}",
                )
            ]
        )


async def _say(tx: LedgerTx, subscription: Subscription) -> None:
    await tx.say(
        SubscriptionChanged(
            org_id=subscription.org_id,
            version=await tx.raise_version(subscription.org_id),
            plan=subscription.plan.code,
            status=subscription.status,
            per_minute=subscription.plan.per_minute,
            per_day=subscription.plan.per_day,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
        ),
        org_id=subscription.org_id,
    )
