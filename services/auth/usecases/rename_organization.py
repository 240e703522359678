"""Another name for an organization."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from services.auth.domain.organization import checked_name
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class RenameOrganization:
    """Call an organization `name`; repeating it changes nothing. Returns its auth version. Raises InvalidRequest, NotFound."""

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, *, name: str, by: Actor | None = None) -> int:
        name = checked_name(name)
        async with self.accounts.change(org_id, by) as change:
            if change.organization.name == name:
                return change.organization.av
            await change.rename(name)
            return change.av
