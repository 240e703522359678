"""A new person in an organization."""

import uuid
from dataclasses import dataclass

from libs.common.ids import uuid7
from services.auth.domain.organization import User, checked_email
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class AddUser:
    """Add a user with a role of the organization. Raises InvalidRequest, NotFound, or Conflict for a taken address."""

    accounts: Accounts

    async def __call__(self, org_id: uuid.UUID, *, email: str, role: str) -> User:
        address = checked_email(email)
        async with self.accounts.change(org_id) as change:
            found = await change.role_named(role)
            user = User(user_id=uuid7(), org_id=org_id, email=address, role_id=found.role_id)
            await change.add_user(user)
        return user
