"""The end of a role of the organization's own."""

import uuid
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.errors import Conflict
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class RemoveRole:
    """Remove a role that nobody has. Returns the auth version that holds from now on.

    Raises NotFound, or Conflict for a built-in role and for one that a live key or a user still has.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(self, org_id: uuid.UUID, role_id: uuid.UUID, *, by: Actor | None = None) -> int:
        now = self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            role = await change.role(role_id)
            if role.is_built_in:
                raise Conflict(f"The role {role.name} is built in and stays")
            if await change.is_in_use(role, now):
                raise Conflict(f"The role {role.name} is in use: give its keys and users another one first")
            await change.remove_role(role, now)
            return change.av
