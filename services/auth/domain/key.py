"""API keys: their states, who they speak for, and what a caller with one may do."""

import enum
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from libs.common.contracts.auth import Limits, Principal
from libs.common.contracts.versions import API_VERSIONS, NEWEST
from services.auth.domain.errors import InvalidApiKey, InvalidRequest
from services.auth.domain.organization import Organization, OrganizationState, UserState
from services.auth.domain.permission import SELF_READ, own_permissions_of, permissions_of_scopes
from services.auth.domain.role import Role

LABEL_CHARACTERS_MAX: Final = 100
KEY_PER_MINUTE_PERSONAL: Final = 100  # R151
LIVE_KEYS_MAX: Final = 1_000  # of one organization
KEY_PER_MINUTE_MAX: Final = 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class KeyKind(enum.StrEnum):
    """What a key speaks for; the first four characters of its text tell it as well."""

    ORGANIZATION = "organization"
    SANDBOX = "sandbox"
    PERSONAL = "personal"

    @property
    def prefix(self) -> str:
        """The start of a key of this kind."""
        return {KeyKind.ORGANIZATION: "fgk_", KeyKind.SANDBOX: "fgt_", KeyKind.PERSONAL: "fgu_"}[self]


class KeyState(enum.StrEnum):
    """Whether a key opens anything. A revoked key stays revoked, whatever its expiry."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key's row: everything but the key, which nobody can read back (R135).

    An organization's or a sandbox key has a role; a personal key has a user and scopes, both fixed at issue (R132, R137).
    """

    key_id: uuid.UUID
    org_id: uuid.UUID
    kind: KeyKind
    digest: str  # 64 hex digits, under `pepper`
    pepper: str
    start: str  # prefix and four characters, to recognise it in a list
    label: str
    created_at: datetime
    role_id: uuid.UUID | None = None
    scopes: frozenset[str] | None = None
    user_id: uuid.UUID | None = None
    model_id: uuid.UUID | None = None  # it reaches this model only
    api_version: str | None = None  # pinned at issue
    key_per_minute: int | None = None  # None = what is usual for its kind
    read_only: bool = False
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    addresses: tuple[str, ...] = ()  # networks it may be used from; none = from anywhere
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        """The key's state at `now`; the instant of its expiry is already past it."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.ACTIVE


class KeyHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A key together with all it speaks for, read in one instant."""

    key: Key
    organization: Organization
    role: Role | None = None
    user_state: UserState | None = None


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as a list shows it; a personal key has no role."""

    key: Key
    role_name: str | None


def principal_of(holder: KeyHolder, now: datetime) -> Principal:
    """Who calls with this key. InvalidApiKey if it opens nothing any more; a suspended organization is told so later."""
    key, organization = holder.key, holder.organization
    if key.state(now) is not KeyState.ACTIVE:
        raise InvalidApiKey(detail=f"key {key.key_id} is {key.state(now)}")
    if organization.state is OrganizationState.DELETED:
        raise InvalidApiKey(detail=f"organization {organization.org_id} is deleted")
    if key.kind is KeyKind.PERSONAL and holder.user_state is not UserState.ACTIVE:
        raise InvalidApiKey(detail=f"user {key.user_id} is {holder.user_state}")
    plan = organization.subscription
    return Principal(
        key_id=key.key_id,
        kind=key.kind,
        org_id=organization.org_id,
        av=organization.av,
        user_id=key.user_id,
        permissions=_permissions_of(holder),
        limits=Limits(per_minute=plan.per_minute, per_day=plan.per_day, key_per_minute=key_window(key)),
        org_state=organization.state,
        subscription=plan.status,
        expires_at_ms=None if key.expires_at is None else (key.expires_at - EPOCH) // timedelta(milliseconds=1),
        model_id=key.model_id,
        api_version=key.api_version,
        read_only=organization.read_only or key.read_only,
        features=organization.features,
        addresses=key.addresses,
    )


def _permissions_of(holder: KeyHolder) -> frozenset[str]:
    if holder.role is not None:
        return holder.role.permissions
    if holder.key.scopes is not None:
        return permissions_of_scopes(holder.key.scopes) | own_permissions_of("api_personal_key")
    return frozenset({SELF_READ})


def key_window(key: Key) -> int:
    """The calls a minute of the key alone; 0 = it has no window of its own."""
    if key.key_per_minute is not None:
        return key.key_per_minute
    return KEY_PER_MINUTE_PERSONAL if key.kind is KeyKind.PERSONAL else 0


def checked_label(label: str) -> str:
    """`label` without blanks around it, if it has 1 to 100 printable characters; else InvalidRequest."""
    label = label.strip()
    if not label or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        raise InvalidRequest(f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters")
    return label


def checked_api_version(version: str | None) -> str:
    """The version that a key is pinned to at issue: `version` if there is such a one, the newest for None; else InvalidRequest."""
    if version is not None and version not in API_VERSIONS:
        raise InvalidRequest(f"There is no API version {version[:32]!a}")
    return version or NEWEST


def checked_key_per_minute(limit: int | None) -> int | None:
    """`limit` if a key may have it: 1 to a million calls a minute, None for what is usual; else InvalidRequest."""
    if limit is not None and not 1 <= limit <= KEY_PER_MINUTE_MAX:
        raise InvalidRequest(f"A key's limit is 1 to {KEY_PER_MINUTE_MAX} calls a minute")
    return limit
