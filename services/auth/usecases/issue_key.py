"""A new API key for an organization, shown once."""

import uuid
from dataclasses import dataclass
from datetime import datetime

import msgspec

from libs.common.clock import Clock
from libs.common.ids import KEY_START_LENGTH, new_key, uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.key import Key, KeyKind, checked_key_per_minute, checked_label
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
    api_version: str | None = None
    read_only: bool = False


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the key itself: after this it exists nowhere but with its owner (R9, R135)."""

    key_id: uuid.UUID
    text: str

    def __repr__(self) -> str:
        return f"IssuedKey(key_id={self.key_id}, text='***')"


@dataclass(frozen=True, slots=True)
class IssueKey:
    """Issue a key with a role. Raises InvalidRequest (label, expiry, limit, kind), or NotFound (organization, role)."""

    accounts: Accounts
    peppers: PepperRing
    clock: Clock

    async def __call__(self, order: KeyOrder) -> IssuedKey:
        now = self.clock.now()
        label = checked_label(order.label)
        key_per_minute = checked_key_per_minute(order.key_per_minute)
        if order.expires_at is not None and order.expires_at <= now:
            raise InvalidRequest("A key's expiry lies in the future")
        async with self.accounts.change(order.org_id) as change:
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
                api_version=order.api_version,
                key_per_minute=key_per_minute,
                read_only=order.read_only,
                expires_at=order.expires_at,
            )
            await change.add_key(key)
        # Only after the commit: a key that was shown exists.
        return IssuedKey(key_id=key.key_id, text=text)


def _kind_for(organization: Organization, wanted: KeyKind | None) -> KeyKind:
    """A sandbox organization has sandbox keys only, any other none: a test key never reaches a real model."""
    fitting = KeyKind.SANDBOX if organization.is_sandbox else KeyKind.ORGANIZATION
    if wanted is not None and wanted is not fitting:
        raise InvalidRequest(f"This organization has keys of kind {fitting}")
    return fitting
