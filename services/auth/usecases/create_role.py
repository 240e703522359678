"""A role of an organization's own."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict
from services.auth.domain.maker import check_grants
from services.auth.domain.ports import Accounts
from services.auth.domain.role import ROLES_MAX, Role, checked_permissions, checked_role_name
from services.auth.usecases.issue_key import maker_of


@dataclass(frozen=True, slots=True)
class CreateRole:
    """Create a role that grants `permissions`. Raises InvalidRequest, NotFound, Conflict (a name in use, too many roles),
    PermissionDenied (more than the key that asks has), InvalidApiKey.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, *, name: str, permissions: Iterable[str], by: Actor | None = None
    ) -> Role:
        role = Role(
            role_id=uuid7(), org_id=org_id, name=checked_role_name(name), granted=checked_permissions(permissions)
        )
        async with self.accounts.change(org_id, by) as change:
            maker = await maker_of(change, by, self.clock.now())
            if maker is not None:
                check_grants(maker, role.permissions)
            if await change.count_roles() >= ROLES_MAX:
                raise Conflict(f"There are {ROLES_MAX} roles: remove one that is not used")
            await change.add_role(role)
        return role
