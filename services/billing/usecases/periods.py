"""The life of a subscription under the organization's lock: what time alone changes, and how any change is written and said."""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from libs.common.contracts.billing import SubscriptionChanged
from libs.common.ids import id_ms
from services.billing.domain.bucket import BucketKind, balance_at
from services.billing.domain.errors import NoSubscription
from services.billing.domain.ledger import ISSUANCE, Code, Transfer
from services.billing.domain.plan import (
    ACTIVE,
    Subscription,
    ended,
    extra_credits,
    next_due,
    period_end,
    period_grant_id,
    upgrade_grant_id,
)
from services.billing.domain.ports import LedgerTx
from services.billing.usecases.announce import Announce


class Periods:
    """Everything that renews, grants or says, in one place, inside the caller's transaction and lock.

    Whoever touches a subscription lets it catch up first, so its state never depends on how late a timer was.
    """

    def __init__(self, *, announce: Announce, grace: timedelta = timedelta(0)) -> None:
        self.grace = grace
        self._announce = announce
        self._oldest_ms: int | None = None

    async def current(self, tx: LedgerTx, org_id: UUID, now: datetime) -> Subscription:
        """Lock the organization; its subscription as of `now`. Raises NoSubscription if it never had one."""
        await tx.lock([org_id])
        subscription = await tx.subscription(org_id)
        if subscription is None:
            raise NoSubscription
        return await self.catch_up(tx, subscription, now)

    async def catch_up(self, tx: LedgerTx, subscription: Subscription, now: datetime) -> Subscription:
        """Do what was due until `now`, period after period, each granted once; nothing if nothing was due."""
        if subscription.due_at is None or subscription.due_at > now:
            return subscription
        while (at := subscription.due_at) is not None and at <= now:
            if at >= subscription.period_end and subscription.cancels:
                subscription = ended(subscription)
            elif at >= subscription.period_end and subscription.status == ACTIVE:
                end = period_end(subscription.period_end, subscription.anchor_day)
                subscription = await self.begin(tx, subscription, subscription.period_end, end)
            # else the grace is over: others are told so below
            subscription = replace(subscription, due_at=next_due(subscription, self.grace, after=at))
        return await self.write(tx, subscription, now)

    async def begin(self, tx: LedgerTx, subscription: Subscription, start: datetime, end: datetime) -> Subscription:
        """Begin the period [start, end) with the plan that is next, as it is defined now, and grant its credits."""
        plan = subscription.plan
        if subscription.next_plan is not None:
            plan = await tx.plan(subscription.next_plan) or plan
        subscription = replace(
            subscription, plan=plan, next_plan=None, period_start=start, period_end=end, allowance=plan.monthly_credits
        )
        id_ = period_grant_id(subscription.org_id, start)
        if not await tx.transfers([id_]):  # else somebody granted this period already
            await self._grant(tx, subscription, id_, plan.monthly_credits, start)
        return subscription

    async def grant_extra(self, tx: LedgerTx, subscription: Subscription, now: datetime, *, held: int) -> Subscription:
        """Grant what the subscription's (new) plan gives for the rest of the period beyond `held` credits a month."""
        start, plan = subscription.period_start, subscription.plan
        granted = await tx.granted(subscription.org_id, start)
        extra = extra_credits(subscription, plan, granted=granted, at=now, held=held)
        id_ = upgrade_grant_id(subscription.org_id, start, now, granted=granted)
        await self._grant(tx, subscription, id_, extra, now)
        return replace(subscription, allowance=max(subscription.allowance, plan.monthly_credits))

    async def write(self, tx: LedgerTx, subscription: Subscription, now: datetime) -> Subscription:
        """Set the timer, write the subscription, and tell the others of it and of the balance; answers what was written."""
        subscription = replace(subscription, due_at=next_due(subscription, self.grace, after=now))
        await tx.set_subscription(subscription)
        await self.say(tx, subscription, now)
        balance = balance_at(await tx.buckets([subscription.org_id]), now)
        await self._announce(tx, subscription.org_id, balance, credits_came=True)
        return subscription

    async def say(self, tx: LedgerTx, subscription: Subscription, now: datetime) -> None:
        """Tell the others what the subscription is now."""
        changed = SubscriptionChanged(
            org_id=subscription.org_id,
            version=(await tx.raise_versions([subscription.org_id]))[subscription.org_id],
            plan=subscription.plan.code,
            status=subscription.served_as(now, self.grace),
            per_minute=subscription.plan.per_minute,
            per_day=subscription.plan.per_day,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
        )
        await tx.say(changed, org_id=subscription.org_id)

    async def _grant(
        self, tx: LedgerTx, subscription: Subscription, id_: UUID, amount: int, starts_at: datetime
    ) -> None:
        if self._oldest_ms is None:
            self._oldest_ms = await tx.oldest_ms()
        if amount == 0 or id_ms(id_) < self._oldest_ms:  # a period so long missed that the ledger has no place for it
            return
        end = subscription.period_end
        bucket = await tx.add_bucket(subscription.org_id, BucketKind.PLAN, id_, starts_at, end)
        row = Transfer(
            id=id_,
            code=Code.GRANT,
            amount=amount,
            org_id=subscription.org_id,
            debit_account=ISSUANCE,
            credit_account=bucket,
            memo=f"plan {subscription.plan.code}",
        )
        await tx.append([row])
