"""A user's own API key, shown once; it takes the place of the one before."""

import uuid
from dataclasses import dataclass
from datetime import datetime

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import PERSONAL_KEYS, Actor, KeyRevoked
from libs.common.ids import KEY_START_LENGTH, new_key, uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.address import checked_addresses
from services.auth.domain.errors import Conflict, NotEnabled, PermissionDenied
from services.auth.domain.key import Key, KeyKind, checked_api_version, checked_key_per_minute, checked_label
from services.auth.domain.maker import bounded
from services.auth.domain.organization import UserState
from services.auth.domain.ports import Accounts, Change
from services.auth.domain.scope import check_role_allows, check_scopes, checked_scopes
from services.auth.usecases.issue_key import check_expiry, maker_of


class PersonalKeyOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The key that is wanted; what is left out is as the maker has it, or as it is usual."""

    org_id: uuid.UUID
    user_id: uuid.UUID
    label: str = "personal"
    scopes: frozenset[str] | None = None  # None = every read
    model_id: uuid.UUID | None = None
    expires_at: datetime | None = None
    key_per_minute: int | None = None
    read_only: bool = False
    addresses: tuple[str, ...] = ()
    api_version: str | None = None  # None = the newest
    by: Actor | None = None  # the user's key that is replaced, or the user at a browser; None: the operator


class IssuedPersonalKey(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the key itself: after this it exists nowhere but with its owner (R135)."""

    key: Key
    text: str
    av: int

    def __repr__(self) -> str:
        return f"IssuedPersonalKey(key_id={self.key.key_id}, text='***')"


@dataclass(frozen=True, slots=True)
class IssuePersonalKey:
    """Issue a user's one active key (R133): whatever they had before ends in the same transaction.

    Raises InvalidRequest (label, scopes, expiry, limit, addresses, version), NotFound (organization, user), NotEnabled (the
    organization), Conflict (the user is not active), PermissionDenied (another's key, or more than the asking key has),
    InvalidApiKey (it is no more).
    """

    accounts: Accounts
    peppers: PepperRing
    clock: Clock

    async def __call__(self, order: PersonalKeyOrder) -> IssuedPersonalKey:
        now = self.clock.now()
        text = new_key(KeyKind.PERSONAL.prefix)
        key = self._wanted(order, text, now)
        async with self.accounts.change(order.org_id, order.by) as change:
            if PERSONAL_KEYS not in change.organization.features:
                raise NotEnabled("Personal keys are not enabled for this organization: ask the operator")
            user = await change.user(order.user_id)
            if user.state is not UserState.ACTIVE:
                raise Conflict(f"The user is {user.state}: only active users have a personal key")
            if order.by is not None:
                key = await _within_bounds(change, order, order.by, key, now)
            before = await change.personal_keys(order.user_id)
            for old in before:
                await change.revoke_key(old.key_id, now)
                change.announce(KeyRevoked(org_id=order.org_id, key_id=old.key_id, digest=old.digest, av=change.av))
            await change.add_key(key, replaces=before[0].key_id if before else None)
        # Only after the commit: a key that was shown exists.
        return IssuedPersonalKey(key=key, text=text, av=change.av)

    def _wanted(self, order: PersonalKeyOrder, text: str, now: datetime) -> Key:
        check_expiry(order.expires_at, now)
        pepper, digest = self.peppers.digests(text)[0]
        return Key(
            key_id=uuid7(),
            org_id=order.org_id,
            kind=KeyKind.PERSONAL,
            digest=digest,
            pepper=pepper,
            start=text[:KEY_START_LENGTH],
            label=checked_label(order.label),
            created_at=now,
            scopes=checked_scopes(order.scopes),
            user_id=order.user_id,
            model_id=order.model_id,
            api_version=checked_api_version(order.api_version),
            key_per_minute=checked_key_per_minute(order.key_per_minute),
            read_only=order.read_only,
            expires_at=order.expires_at,
            addresses=checked_addresses(order.addresses),
        )


async def _within_bounds(change: Change, order: PersonalKeyOrder, by: Actor, key: Key, now: datetime) -> Key:
    """`key`, no more than the one that asks for it, which must be the same user's: nobody makes another's (R132). A user who is
    signed in gives it no more than their role has.
    """
    if by.key_id is None and by.user_id == order.user_id:
        check_role_allows((await change.role((await change.user(order.user_id)).role_id)).permissions, key.scopes)
        return key
    maker = await maker_of(change, by, now)
    if maker is None or by.key_id is None or maker.user_id != order.user_id:
        raise PermissionDenied("A personal key is made by its own user")
    held = (await change.key(by.key_id)).scopes or frozenset()
    if order.scopes is None:
        key = msgspec.structs.replace(key, scopes=held)
    check_scopes(held, key.scopes or frozenset())
    return bounded(key, maker)
