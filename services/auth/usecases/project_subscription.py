"""Billing's word on an organization's plan, kept beside the organization so that one look-up answers a caller's whole state."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.billing import SubscriptionChanged
from services.auth.domain.errors import OrganizationDeleted
from services.auth.domain.organization import Subscription
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class ProjectSubscription:
    """Take over a subscription's state unless a newer one is known. Any number of deliveries has one effect.

    Raises NotFound for an organization that does not exist (yet).
    """

    accounts: Accounts

    async def __call__(self, event: SubscriptionChanged, message_id: uuid.UUID) -> None:
        try:
            async with self.accounts.change(event.org_id) as change:
                if not await change.accept_once(message_id):
                    return
                if event.version <= change.organization.subscription.version:
                    return
                await change.set_subscription(
                    Subscription(
                        version=event.version,
                        plan=event.plan,
                        status=event.status,
                        per_minute=event.per_minute,
                        per_day=event.per_day,
                        period_start=event.period_start,
                        period_end=event.period_end,
                    )
                )
        except OrganizationDeleted:
            return  # its plan no longer matters to anybody
