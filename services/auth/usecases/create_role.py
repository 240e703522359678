"""A role of an organization's own."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from libs.common.ids import uuid7
from services.auth.domain.ports import Accounts
from services.auth.domain.role import Role, checked_permissions, checked_role_name


@dataclass(frozen=True, slots=True)
class CreateRole:
    """Create a role that grants `permissions`. Raises InvalidRequest, NotFound, or Conflict for a name in use."""

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, *, name: str, permissions: Iterable[str]) -> Role:
        role = Role(
            role_id=uuid7(), org_id=org_id, name=checked_role_name(name), granted=checked_permissions(permissions)
        )
        async with self.accounts.change(org_id) as change:
            await change.add_role(role)
        return role
