"""A role of the organization's own, anew: its name and what it grants."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.errors import Conflict
from services.auth.domain.maker import check_grants
from services.auth.domain.ports import Accounts
from services.auth.domain.role import Role, checked_permissions, checked_role_name
from services.auth.usecases.issue_key import maker_of


@dataclass(frozen=True, slots=True)
class ReplaceRole:
    """Let a role have this name and grant `permissions` and nothing else, effective at once for every key that has it.

    Returns the role and the auth version that holds from now on. Raises InvalidRequest, NotFound, Conflict (a built-in role, a
    name in use), PermissionDenied (more than the key that asks has), InvalidApiKey.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, role_id: uuid.UUID, *, name: str, permissions: Iterable[str], by: Actor | None = None
    ) -> tuple[Role, int]:
        wanted = checked_permissions(permissions)
        async with self.accounts.change(org_id, by) as change:
            old = await change.role(role_id)
            if old.is_built_in:
                raise Conflict(f"The role {old.name} is built in and stays as it is")
            new = msgspec.structs.replace(old, name=checked_role_name(name), granted=wanted)
            maker = await maker_of(change, by, self.clock.now())
            if maker is not None:
                check_grants(maker, new.permissions)
            if new == old:
                return old, change.organization.av
            await change.replace_role(old, new)
            return new, change.av
