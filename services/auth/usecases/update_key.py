"""Another label, another role or other addresses for a key."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.address import checked_addresses
from services.auth.domain.errors import Conflict, InvalidRequest
from services.auth.domain.key import KeyKind, checked_label
from services.auth.domain.maker import bounded_addresses, check_grants
from services.auth.domain.ports import Accounts
from services.auth.usecases.issue_key import maker_of


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """Change what is given, effective at once; repeating it changes nothing. Returns the auth version that holds from now on.

    Raises InvalidRequest (label, addresses, a personal key's role), NotFound (key, role), Conflict (a revoked key),
    PermissionDenied (a role or addresses beyond those of the key that asks), InvalidApiKey.
    """

    accounts: Accounts
    clock: Clock

    async def __call__(
        self,
        org_id: uuid.UUID,
        key_id: uuid.UUID,
        *,
        label: str | None = None,
        role: str | None = None,
        addresses: tuple[str, ...] | None = None,
        by: Actor | None = None,
    ) -> int:
        now = self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            old = new = await change.key(key_id)
            if old.revoked_at is not None:
                raise Conflict("The key is revoked")
            if label is not None:
                new = msgspec.structs.replace(new, label=checked_label(label))
            maker = None if role is None and addresses is None else await maker_of(change, by, now)
            if role is not None:
                if old.kind is KeyKind.PERSONAL:
                    raise InvalidRequest("A personal key has scopes, fixed at issue, and no role")
                found = await change.role_named(role)
                if maker is not None:
                    check_grants(maker, found.permissions)
                new = msgspec.structs.replace(new, role_id=found.role_id)
            if addresses is not None:
                wanted = checked_addresses(addresses)
                if maker is not None:
                    bounded_addresses(wanted, maker)
                new = msgspec.structs.replace(new, addresses=wanted)
            if new == old:
                return change.organization.av
            await change.update_key(old, new)
            return change.av
