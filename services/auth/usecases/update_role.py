"""Change what a role grants, for all keys that have it."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from services.auth.domain.errors import InvalidRequest
from services.auth.domain.ports import Accounts
from services.auth.domain.role import checked_permissions


@dataclass(frozen=True, slots=True)
class UpdateRole:
    """Let a role grant `permissions` and nothing else, effective at once for every key with that role.

    Returns the auth version that holds from now on. Raises InvalidRequest, also for a built-in role, or NotFound.
    """

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, *, name: str, permissions: Iterable[str]) -> int:
        wanted = checked_permissions(permissions)
        async with self.accounts.change(org_id) as change:
            role = await change.role_named(name)
            if role.is_built_in:
                raise InvalidRequest(f"The role {role.name} is built in")
            await change.replace_role(role, msgspec.structs.replace(role, granted=wanted))
            return change.av
