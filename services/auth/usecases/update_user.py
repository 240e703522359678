"""Another role for a user, or a rest."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.errors import Conflict
from services.auth.domain.maker import check_grants
from services.auth.domain.organization import UserState
from services.auth.domain.ports import Accounts
from services.auth.domain.user import check_owner_left, is_owner
from services.auth.usecases.issue_key import maker_of


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """Change what is given, effective at once; repeating it changes nothing. Returns the auth version that holds from now on.

    Raises NotFound (user, role), Conflict (the last owner; a state for somebody who has not joined yet), PermissionDenied (a
    role with more than the key that asks has), InvalidApiKey.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(
        self,
        org_id: uuid.UUID,
        user_id: uuid.UUID,
        *,
        role: str | None = None,
        is_suspended: bool | None = None,
        by: Actor | None = None,
    ) -> int:
        async with self.accounts.change(org_id, by) as change:
            old = new = await change.user(user_id)
            had = has = await change.role(old.role_id)
            if role is not None:
                has = await change.role_named(role)
                maker = await maker_of(change, by, self.clock.now())
                if maker is not None:
                    check_grants(maker, has.permissions)
                new = msgspec.structs.replace(new, role_id=has.role_id)
            if is_suspended is not None:
                if old.state is UserState.INVITED:
                    raise Conflict("The user has not joined yet")
                new = msgspec.structs.replace(new, state=UserState.SUSPENDED if is_suspended else UserState.ACTIVE)
            if new == old:
                return change.organization.av
            if is_owner(old, had) and not is_owner(new, has):
                check_owner_left(old, await change.owners())
            await change.update_user(old, new)
            return change.av
