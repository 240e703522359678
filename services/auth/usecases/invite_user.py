"""Somebody is asked into an organization, by a link that works once."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict
from services.auth.domain.maker import check_grants
from services.auth.domain.organization import User, UserState, checked_email
from services.auth.domain.ports import Accounts
from services.auth.domain.user import INVITATION_LIFE, USERS_MAX, Invitation
from services.auth.usecases.issue_key import maker_of


@dataclass(frozen=True, slots=True)
class InviteUser:
    """Invite an address with a role; `link` is the digest of the link's token. Who is invited already gets this role and
    this link instead of the earlier ones.

    Raises InvalidRequest (the address), NotFound (the role), Conflict (a user already, too many users), PermissionDenied (a
    role with more than the key that asks has), InvalidApiKey.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, *, email: str, role: str, link: bytes, by: Actor | None = None
    ) -> uuid.UUID:
        address, now = checked_email(email), self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            found = await change.role_named(role)
            maker = await maker_of(change, by, now)
            if maker is not None:
                check_grants(maker, found.permissions)
            known = await change.user_with_email(address)
            if known is None:
                if await change.count_users() >= USERS_MAX:
                    raise Conflict(f"There are {USERS_MAX} users: remove one first")
                known = User(
                    user_id=uuid7(), org_id=org_id, email=address, role_id=found.role_id, state=UserState.INVITED
                )
                await change.add_user(known)
            elif known.state is not UserState.INVITED:
                raise Conflict("A user with this e-mail address exists already")
            elif known.role_id != found.role_id:
                await change.update_user(known, msgspec.structs.replace(known, role_id=found.role_id))
            await change.end_invitation(known.user_id, now)
            await change.add_invitation(
                Invitation(
                    digest=link.hex(),
                    org_id=org_id,
                    user_id=known.user_id,
                    created_at=now,
                    expires_at=now + INVITATION_LIFE,
                )
            )
        return known.user_id
