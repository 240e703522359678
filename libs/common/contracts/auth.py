"""Messages that `auth` owns: who a caller is, what changed about an organization, and the management of keys and roles."""

import uuid
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.contracts.envelope import Message

PERSONAL_KEYS: Final = "personal_keys"  # feature: users may have keys of their own
APPS: Final = "apps"  # feature: users may register apps, and allow apps of others to act for them
PLATFORM: Final = "platform"  # feature: the surface of takedown platforms (Seed C: for partners only)
FEATURES: Final = frozenset({PERSONAL_KEYS, APPS, PLATFORM})  # what the operator switches on for single organizations


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
    addresses: tuple[str, ...] = ()  # networks the key may be used from; none = from anywhere


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


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a change, and from where. Without a key: whoever follows a link, a user who is signed in, or the operator."""

    key_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    address: str = ""  # the client's, as the edge sees it past trusted proxies
    is_link: bool = False  # a one-time link was followed; `user_id` is whose it is, if anybody's
    is_system: bool = False  # nobody asked: it follows from something else. Never in a command


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """The auth version of an organization from now on."""

    org_id: uuid.UUID
    av: int


class Moving(Message, frozen=True, kw_only=True):
    """A reply after which the principals of other organizations are outdated. Whoever asked brings their versions to Redis before
    telling anybody so.
    """

    moved: tuple[Moved, ...] = ()


class Changed(Moving, frozen=True, kw_only=True):
    """The reply to a change: done, and in force from auth version `av` on. Whoever asked brings `av` to Redis before
    telling anybody so.
    """

    av: int


class GetOrganization(Message, frozen=True, kw_only=True):
    """An organization as its own people see it. Fails with NOT_FOUND."""

    org_id: uuid.UUID


class Organization(Message, frozen=True, kw_only=True):
    """The tenant and its plan, as billing last told it; `subscription` as in `Principal`."""

    org_id: uuid.UUID
    name: str
    state: str  # active | suspended
    is_sandbox: bool
    read_only: bool
    plan: str  # empty: none
    subscription: str
    per_minute: int
    per_day: int
    period_start: datetime | None = None
    period_end: datetime | None = None


class UpdateOrganization(Message, frozen=True, kw_only=True):
    """Rename an organization. Fails with INVALID_REQUEST."""

    org_id: uuid.UUID
    by: Actor
    name: str


class OrganizationUpdated(Changed, frozen=True, kw_only=True):
    """The organization as it is now."""

    organization: Organization


class ListAudit(Message, frozen=True, kw_only=True):
    """A page of an organization's audit log, newest first: the `limit` entries before the entry `before`."""

    org_id: uuid.UUID
    limit: int = 50
    before: uuid.UUID | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, when, from where. `by` is `key`, `link`, `user`, `operator` or `system` (nobody asked for it); `details` are plain facts, never secrets."""

    entry_id: uuid.UUID
    at: datetime
    action: str  # `key.create`, `role.update`, …
    object_id: uuid.UUID | None
    by: str
    key_id: uuid.UUID | None
    user_id: uuid.UUID | None
    address: str
    details: dict[str, Any]


class Audit(Message, frozen=True, kw_only=True):
    """One page; `next` is the `before` of the following one, None at the end."""

    entries: tuple[AuditEntry, ...]
    next: uuid.UUID | None = None


class ListUsers(Message, frozen=True, kw_only=True):
    """A page of an organization's users, oldest first; removed ones are gone."""

    org_id: uuid.UUID
    limit: int = 50
    offset: int = 0


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person of an organization."""

    user_id: uuid.UUID
    email: str
    role: str
    role_id: uuid.UUID
    state: str  # invited | active | suspended | removed
    created_at: datetime
    invited_until: datetime | None = None  # when the open link of an invitation ends, past or not


class Users(Message, frozen=True, kw_only=True):
    """One page and the number of users on all pages."""

    users: tuple[User, ...]
    total: int


class InviteUser(Message, frozen=True, kw_only=True):
    """Ask somebody in by a link; `link` is the SHA-256 of its token. An invitation that is open already is replaced. Fails with
    INVALID_REQUEST (the address), NOT_FOUND (the role), CONFLICT (a user already, too many users), PERMISSION_DENIED (a role
    with more than the key that asks has).
    """

    org_id: uuid.UUID
    by: Actor
    email: str
    role: str
    link: bytes


class UserInvited(Message, frozen=True, kw_only=True):
    """The invited user; the link works until `user.invited_until`."""

    user: User


class UpdateUser(Message, frozen=True, kw_only=True):
    """Change what is given (None: unchanged). Fails as `InviteUser`; with CONFLICT for the last owner, and for a rest of
    somebody who has not joined yet.
    """

    org_id: uuid.UUID
    by: Actor
    user_id: uuid.UUID
    role: str | None = None
    is_suspended: bool | None = None


class RemoveUser(Message, frozen=True, kw_only=True):
    """Remove a user, or take an invitation back; personal keys end. Fails with NOT_FOUND, CONFLICT (the last owner)."""

    org_id: uuid.UUID
    by: Actor
    user_id: uuid.UUID


class UserUpdated(Changed, frozen=True, kw_only=True):
    """The user as it is now."""

    user: User


class GetInvitation(Message, frozen=True, kw_only=True):
    """What stands behind the link with this digest. Fails with LINK_GONE: unknown, expired or used, nobody is told which."""

    link: bytes


class AcceptInvitation(Message, frozen=True, kw_only=True):
    """The link was followed from `address`: its user is active from now on, with the sealed password (`sign_in.PasswordForm`). Fails
    with LINK_GONE, INVALID_REQUEST (the password), CONFLICT (the address is another organization's user's).
    """

    link: bytes
    address: str
    sealed: bytes = b""  # empty: no password yet


class InvitationShown(Message, frozen=True, kw_only=True):
    """Who is invited where, as what."""

    organization: str
    email: str
    role: str
    expires_at: datetime


class ListKeys(Message, frozen=True, kw_only=True):
    """A page of an organization's keys, newest first, revoked ones too."""

    org_id: uuid.UUID
    limit: int = 50
    offset: int = 0


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key, but for the key itself; `start` is its first eight characters."""

    key_id: uuid.UUID
    start: str
    label: str
    kind: str
    role: str | None  # a personal key has none
    role_id: uuid.UUID | None
    state: str  # active | expired | revoked
    model_id: uuid.UUID | None
    per_minute: int | None
    read_only: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    addresses: tuple[str, ...] = ()  # networks it may be used from; none = from anywhere


class Keys(Message, frozen=True, kw_only=True):
    """One page and the number of keys on all pages."""

    keys: tuple[Key, ...]
    total: int


class GetKey(Message, frozen=True, kw_only=True):
    """One key of an organization. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    key_id: uuid.UUID


class FoundKey(Message, frozen=True, kw_only=True):
    """The key asked for."""

    key: Key


class CreateKey(Message, frozen=True, kw_only=True):
    """A new key with the role called `role`. It may do no more than the key that asks: fails with PERMISSION_DENIED, else
    with INVALID_REQUEST, NOT_FOUND (the role), CONFLICT (too many keys).
    """

    org_id: uuid.UUID
    by: Actor
    label: str
    role: str
    expires_at: datetime | None = None
    per_minute: int | None = None
    model_id: uuid.UUID | None = None
    read_only: bool = False
    addresses: tuple[str, ...] = ()
    api_version: str | None = None  # pinned: for callers who ask for none; None = the newest
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class KeyCreated(Message, frozen=True, kw_only=True):
    """The key itself is said this once (R9), `sealed` to the `reply_key` of the command and bound to the key's id."""

    key: Key
    text: str = ""  # in clear: of an auth that knows no `reply_key`
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"KeyCreated(key_id={self.key.key_id}, text='***')"


class KeyRotated(Changed, frozen=True, kw_only=True):
    """The new key, told as in `KeyCreated`."""

    key: Key
    text: str = ""  # in clear: of an auth that knows no `reply_key`
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"KeyRotated(key_id={self.key.key_id}, text='***')"


class UpdateKey(Message, frozen=True, kw_only=True):
    """Change what is given (None: unchanged). Fails as `CreateKey`; with CONFLICT for a key that is revoked."""

    org_id: uuid.UUID
    by: Actor
    key_id: uuid.UUID
    label: str | None = None
    role: str | None = None
    addresses: tuple[str, ...] | None = None  # empty: from anywhere


class KeyUpdated(Changed, frozen=True, kw_only=True):
    """The key as it is now."""

    key: Key


class RotateKey(Message, frozen=True, kw_only=True):
    """A new key like an active one, which ends `overlap_seconds` (0 to 24 h) from now. The new one lives as long as the old
    one did from its birth, unless `expires_at` says otherwise. Fails as `UpdateKey`.
    """

    org_id: uuid.UUID
    by: Actor
    key_id: uuid.UUID
    overlap_seconds: int = 0
    expires_at: datetime | None = None
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class RevokeKey(Message, frozen=True, kw_only=True):
    """End a key at once; repeating it is safe. Fails with NOT_FOUND. The reply is KeyUpdated."""

    org_id: uuid.UUID
    by: Actor
    key_id: uuid.UUID


class ListPermissions(Message, frozen=True, kw_only=True):
    """Everything that a role can grant."""


class Permissions(Message, frozen=True, kw_only=True):
    """Sorted by name."""

    permissions: tuple[str, ...]


class ListRoles(Message, frozen=True, kw_only=True):
    """An organization's roles, built-in ones first."""

    org_id: uuid.UUID


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of permissions."""

    role_id: uuid.UUID
    name: str
    is_built_in: bool
    permissions: tuple[str, ...]


class Roles(Message, frozen=True, kw_only=True):
    """All of them."""

    roles: tuple[Role, ...]


class CreateRole(Message, frozen=True, kw_only=True):
    """A role of the organization's own. It grants no more than the key that asks has: fails with PERMISSION_DENIED, else
    with INVALID_REQUEST, CONFLICT (the name, too many roles).
    """

    org_id: uuid.UUID
    by: Actor
    name: str
    permissions: tuple[str, ...]


class ReplaceRole(Message, frozen=True, kw_only=True):
    """Let a role have this name and grant these permissions, for all its keys at once. Fails as `CreateRole`; with CONFLICT
    for a built-in role, NOT_FOUND.
    """

    org_id: uuid.UUID
    by: Actor
    role_id: uuid.UUID
    name: str
    permissions: tuple[str, ...]


class RoleCreated(Message, frozen=True, kw_only=True):
    """The new role."""

    role: Role


class RoleChanged(Changed, frozen=True, kw_only=True):
    """The role as it is now."""

    role: Role


class DeleteRole(Message, frozen=True, kw_only=True):
    """Remove a role that no live key and no user has. Fails with CONFLICT, also for a built-in role, or NOT_FOUND."""

    org_id: uuid.UUID
    by: Actor
    role_id: uuid.UUID


class RoleDeleted(Changed, frozen=True, kw_only=True):
    """It is gone."""
