"""The end of a key."""

import uuid
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, KeyRevoked
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Revoke one key and no other (R173); repeating it is safe.

    Returns the auth version that shuts the key out: whoever asked brings it to Redis before saying that it is done.
    Raises NotFound, also for a key of another organization.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(self, org_id: uuid.UUID, key_id: uuid.UUID, *, by: Actor | None = None) -> int:
        async with self.accounts.change(org_id, by) as change:
            key = await change.key(key_id)
            if key.revoked_at is not None:
                return change.organization.av
            await change.revoke_key(key_id, self.clock.now())
            change.announce(KeyRevoked(org_id=org_id, key_id=key_id, digest=key.digest, av=change.av))
            return change.av
