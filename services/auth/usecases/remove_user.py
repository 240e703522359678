"""A user leaves, with the keys that are theirs alone."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, KeyRevoked
from services.auth.domain.organization import UserState
from services.auth.domain.ports import Accounts
from services.auth.domain.user import check_owner_left, is_owner


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Remove a user, or take an invitation back, effective at once. The organization's keys stay; personal ones end.

    Returns the auth version that holds from now on. Raises NotFound, Conflict (the last owner).
    """

    accounts: Accounts
    clock: Clock

    async def __call__(self, org_id: uuid.UUID, user_id: uuid.UUID, *, by: Actor | None = None) -> int:
        now = self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            user = await change.user(user_id)
            if is_owner(user, await change.role(user.role_id)):
                check_owner_left(user, await change.owners())
            await change.end_invitation(user_id, now)
            for key in await change.personal_keys(user_id):
                await change.revoke_key(key.key_id, now)
                change.announce(KeyRevoked(org_id=org_id, key_id=key.key_id, digest=key.digest, av=change.av))
            await change.update_user(user, msgspec.structs.replace(user, state=UserState.REMOVED))
            return change.av
