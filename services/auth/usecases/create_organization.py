"""A new tenant, complete: the organization, its built-in roles and its owner."""

import uuid
from dataclasses import dataclass

from libs.common.ids import uuid7
from services.auth.domain.organization import Organization, User, checked_email, checked_name, placeholder_email
from services.auth.domain.ports import Accounts
from services.auth.domain.role import BUILT_IN_ROLES, OWNER, Role


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """Create an organization. Raises InvalidRequest, or Conflict when the id or the owner's address is taken."""

    accounts: Accounts

    async def __call__(
        self, *, name: str, org_id: uuid.UUID | None = None, is_sandbox: bool = False, owner_email: str | None = None
    ) -> Organization:
        organization = Organization(org_id=org_id or uuid7(), name=checked_name(name), is_sandbox=is_sandbox)
        roles = [
            Role(role_id=uuid7(), org_id=organization.org_id, name=role, is_built_in=True) for role in BUILT_IN_ROLES
        ]
        owner = User(
            user_id=uuid7(),
            org_id=organization.org_id,
            email=checked_email(owner_email) if owner_email else placeholder_email(organization.org_id),
            role_id=next(role.role_id for role in roles if role.name == OWNER),
        )
        await self.accounts.create(organization, roles, owner)
        return organization
