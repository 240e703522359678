"""People of an organization: by invitation, with a role, and never without an owner."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.auth.domain.errors import Conflict
from services.auth.domain.organization import User, UserState, placeholder_email
from services.auth.domain.role import OWNER, Role

USERS_MAX: Final = 1_000  # of one organization, invited ones among them
INVITATION_LIFE: Final = timedelta(days=7)


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A link that makes an invited user active. `digest` is the SHA-256 of its token, 64 hex digits."""

    digest: str
    org_id: uuid.UUID
    user_id: uuid.UUID
    created_at: datetime
    expires_at: datetime


class ListedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user as a list shows it. `invited_until`: when the open link ends, past or not."""

    user: User
    role_name: str
    created_at: datetime
    invited_until: datetime | None


class InvitationView(msgspec.Struct, frozen=True, kw_only=True):
    """What an open link says to whoever follows it."""

    invitation: Invitation
    organization: str
    email: str
    role_name: str


def is_owner(user: User, role: Role) -> bool:
    """Whether `user`, whose role is `role`, may do everything here now."""
    return user.state is UserState.ACTIVE and role.is_built_in and role.name == OWNER


def check_owner_left(leaving: User, owners: Iterable[User]) -> None:
    """Raise Conflict if `leaving` is the last of the active `owners`; a placeholder, whom nobody has named, is no owner."""
    nobody = placeholder_email(leaving.org_id)
    if not any(owner.user_id != leaving.user_id and owner.email != nobody for owner in owners):
        raise Conflict("The last owner stays: make somebody else an owner first")
