"""A new API key for an organization, shown once."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor, Principal
from libs.common.ids import KEY_START_LENGTH, new_key, uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.address import checked_addresses
from services.auth.domain.errors import Conflict, InvalidApiKey, InvalidRequest, NotFound
from services.auth.domain.key import (
    LIVE_KEYS_MAX,
    Key,
    KeyHolder,
    KeyKind,
    checked_api_version,
    checked_key_per_minute,
    checked_label,
    principal_of,
)
from services.auth.domain.maker import bounded, check_grants
from services.auth.domain.organization import Organization
from services.auth.domain.ports import Accounts


class KeyOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The key that is wanted. `kind` None = what fits the organization."""

    org_id: uuid.UUID
    role: str
    label: str
    kind: KeyKind | None = None
    expires_at: datetime | None = None
    key_per_minute: int | None = None
    model_id: uuid.UUID | None = None
    api_version: str | None = None  # None = the newest
    read_only: bool = False
    addresses: tuple[str, ...] = ()
    by: Actor | None = None  # the key that asks: it cannot give more than it has. None: the operator


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the key itself: after this it exists nowhere but with its owner (R9, R135)."""

    key: Key
    role_name: str
    text: str
    av: int

    @property
    def key_id(self) -> uuid.UUID:
        return self.key.key_id

    def __repr__(self) -> str:
        return f"IssuedKey(key_id={self.key_id}, text='***')"


@dataclass(frozen=True, slots=True)
class IssueKey:
    """Issue a key with a role. Raises InvalidRequest (label, expiry, limit, kind, addresses, version), NotFound (organization, role), Conflict
    (too many keys), PermissionDenied (more than its maker has), InvalidApiKey (the maker is no more).
    """

    accounts: Accounts
    peppers: PepperRing
    clock: Clock

    async def __call__(self, order: KeyOrder) -> IssuedKey:
        now = self.clock.now()
        label = checked_label(order.label)
        key_per_minute = checked_key_per_minute(order.key_per_minute)
        check_expiry(order.expires_at, now)
        addresses = checked_addresses(order.addresses)
        api_version = checked_api_version(order.api_version)
        async with self.accounts.change(order.org_id, order.by) as change:
            maker = await maker_of(change, order.by, now)
            if await change.count_keys(now) >= LIVE_KEYS_MAX:
                raise Conflict(f"There are {LIVE_KEYS_MAX} keys: revoke one that is not used")
            kind = _kind_for(change.organization, order.kind)
            role = await change.role_named(order.role)
            text = new_key(kind.prefix)
            pepper, digest = self.peppers.digests(text)[0]
            key = Key(
                key_id=uuid7(),
                org_id=order.org_id,
                kind=kind,
                digest=digest,
                pepper=pepper,
                start=text[:KEY_START_LENGTH],
                label=label,
                created_at=now,
                role_id=role.role_id,
                model_id=order.model_id,
                api_version=api_version,
                key_per_minute=key_per_minute,
                read_only=order.read_only,
                expires_at=order.expires_at,
                addresses=addresses,
            )
            if maker is not None:
                check_grants(maker, role.permissions)
                key = bounded(key, maker)
            await change.add_key(key)
        # Only after the commit: a key that was shown exists.
        return IssuedKey(key=key, role_name=role.name, text=text, av=change.av)


class Holders(Protocol):
    """Where the asking key is read again."""

    async def holder(self, key_id: uuid.UUID) -> KeyHolder: ...


async def maker_of(change: Holders, by: Actor | None, now: datetime) -> Principal | None:
    """What the asking key may do as of this transaction, whatever an edge remembered; None: the operator, who may all.

    Raises InvalidApiKey.
    """
    if by is None or by.key_id is None:
        return None
    try:
        return principal_of(await change.holder(by.key_id), now)
    except NotFound as exc:
        raise InvalidApiKey(detail="the asking key is not of this organization") from exc


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Raise InvalidRequest for an expiry that is past already."""
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("A key's expiry lies in the future")


def _kind_for(organization: Organization, wanted: KeyKind | None) -> KeyKind:
    """A sandbox organization has sandbox keys only, any other none: a test key never reaches a real model."""
    fitting = KeyKind.SANDBOX if organization.is_sandbox else KeyKind.ORGANIZATION
    if wanted is not None and wanted is not fitting:
        raise InvalidRequest(f"This organization has keys of kind {fitting}")
    return fitting
