"""Suspend an organization, let it go on, or end it."""

import uuid
from dataclasses import dataclass

from services.auth.domain.organization import OrganizationState
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class SetOrganizationState:
    """Put an organization into `state`, effective at once (R168); repeating it changes nothing. Deleted is final.

    Returns the auth version that holds from now on. Raises NotFound.
    """

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, state: OrganizationState) -> int:
        async with self.accounts.change(org_id) as change:
            if change.organization.state is state:
                return change.organization.av
            await change.set_state(state)
            return change.av
