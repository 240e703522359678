"""A new key in the place of an old one, which goes on for a while so that nobody is cut off."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, KeyRevoked
from libs.common.ids import KEY_START_LENGTH, new_key, uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.errors import Conflict, InvalidRequest
from services.auth.domain.key import Key, KeyKind, KeyState
from services.auth.domain.maker import bounded, check_grants
from services.auth.domain.ports import Accounts, Change
from services.auth.usecases.issue_key import IssuedKey, check_expiry, maker_of

OVERLAP_SECONDS_MAX: Final = 86_400  # R164


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Make a key like `key_id` and end that one after the overlap; at once without one.

    Raises InvalidRequest (overlap, expiry, a personal key), NotFound, Conflict (the old key opens nothing any more),
    PermissionDenied (it has more than the key that asks), InvalidApiKey.
    """

    accounts: Accounts
    peppers: PepperRing
    clock: Clock

    async def __call__(
        self,
        org_id: uuid.UUID,
        key_id: uuid.UUID,
        *,
        overlap_seconds: int = 0,
        expires_at: datetime | None = None,
        by: Actor | None = None,
    ) -> IssuedKey:
        now = self.clock.now()
        check_expiry(expires_at, now)
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            raise InvalidRequest("The overlap is 0 to 24 hours")
        async with self.accounts.change(org_id, by) as change:
            holder = await change.holder(key_id)
            old = holder.key
            if old.kind is KeyKind.PERSONAL or holder.role is None:
                raise InvalidRequest("A personal key is replaced by a new one, not rotated")
            if old.state(now) is not KeyState.ACTIVE:
                raise Conflict(f"The key is {old.state(now)}: make a new one")
            text = new_key(old.kind.prefix)
            new = self._successor(old, text, now, expires_at)
            maker = await maker_of(change, by, now)
            if maker is not None:
                # The new key's text goes to whoever asks: it must not be worth more than what they hold.
                check_grants(maker, holder.role.permissions)
                new = bounded(new, maker)
            await change.add_key(new, replaces=key_id)
            await _end(change, old, now, timedelta(seconds=overlap_seconds))
        return IssuedKey(key=new, role_name=holder.role.name, text=text, av=change.av)

    def _successor(self, old: Key, text: str, now: datetime, expires_at: datetime | None) -> Key:
        pepper, digest = self.peppers.digests(text)[0]
        life = None if old.expires_at is None else old.expires_at - old.created_at
        return msgspec.structs.replace(
            old,
            key_id=uuid7(),
            digest=digest,
            pepper=pepper,
            start=text[:KEY_START_LENGTH],
            created_at=now,
            expires_at=expires_at or (None if life is None else now + life),
            last_used_at=None,
        )


async def _end(change: Change, old: Key, now: datetime, overlap: timedelta) -> None:
    if not overlap:
        await change.revoke_key(old.key_id, now)
        change.announce(KeyRevoked(org_id=old.org_id, key_id=old.key_id, digest=old.digest, av=change.av))
    elif old.expires_at is None or old.expires_at > now + overlap:
        await change.update_key(old, msgspec.structs.replace(old, expires_at=now + overlap))
