"""Messages that `auth` owns: who a caller is, and what changed about an organization."""

import uuid

import msgspec

from libs.common.contracts.envelope import Message


class KeyDigest(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC-SHA256 of a key under one pepper of the ring; `digest` is 64 lower-case hex digits."""

    pepper: str  # the pepper's name in the ring
    digest: str


class ResolveKey(Message, frozen=True, kw_only=True):
    """Who owns the key with one of these digests (active pepper first)? Fails with `INVALID_API_KEY` for a key that is
    unknown, revoked, expired, or whose organization is deleted: the caller cannot tell which.
    """

    digests: tuple[KeyDigest, ...]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Calls an organization, and one key, may make. `key_per_minute` 0 = the key has no window of its own."""

    per_minute: int = 1_000
    per_day: int = 50_000
    key_per_minute: int = 0


class Principal(Message, frozen=True, kw_only=True):
    """A caller as the edge sees it: everything the checks of one request need, as of auth version `av`."""

    key_id: uuid.UUID
    kind: str  # organization | sandbox | personal | oauth_access
    org_id: uuid.UUID
    av: int  # the organization's auth version: compared in the admission script on every call
    user_id: uuid.UUID | None = None
    permissions: frozenset[str] = frozenset()
    limits: Limits = Limits()
    org_state: str = "active"  # active | suspended
    subscription: str = "none"  # none | active | past_due | cancelled
    expires_at_ms: int | None = None
    model_id: uuid.UUID | None = None  # a key bound at issue reaches this model only
    api_version: str | None = None  # pinned at issue
    read_only: bool = False
    features: frozenset[str] = frozenset()


class OrganizationChanged(Message, frozen=True, kw_only=True):
    """Something a principal is made of changed: keys, roles, users, suspension, projected plan."""

    org_id: uuid.UUID
    av: int


class KeyRevoked(Message, frozen=True, kw_only=True):
    """A key no longer opens anything. `digest` lets an edge drop it from its caches."""

    org_id: uuid.UUID
    key_id: uuid.UUID
    digest: str
    av: int
