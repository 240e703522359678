"""Messages that `auth` owns about the keys of users: `/api/personal-key`, and what was called with one."""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Actor, Changed
from libs.common.contracts.envelope import Message


class PersonalKey(msgspec.Struct, frozen=True, kw_only=True):
    """A user's own key, but for the key itself; its scopes and its user are what they were at issue."""

    key_id: uuid.UUID
    user_id: uuid.UUID
    start: str
    label: str
    scopes: tuple[str, ...]
    state: str  # active | expired | revoked
    model_id: uuid.UUID | None
    per_minute: int
    read_only: bool
    api_version: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    addresses: tuple[str, ...] = ()


class GetPersonalKey(Message, frozen=True, kw_only=True):
    """The one key that a user has not revoked. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    user_id: uuid.UUID


class PersonalKeyFound(Message, frozen=True, kw_only=True):
    """The key asked for."""

    key: PersonalKey


class IssuePersonalKey(Message, frozen=True, kw_only=True):
    """A new key for the user whose key asks; that one ends with it. It may do no more: fails with PERMISSION_DENIED, else with
    INVALID_REQUEST, NOT_ENABLED, CONFLICT (the user is not active).
    """

    org_id: uuid.UUID
    by: Actor
    user_id: uuid.UUID
    label: str
    scopes: tuple[str, ...] | None = None  # None = those of the key that asks
    model_id: uuid.UUID | None = None
    expires_at: datetime | None = None
    per_minute: int | None = None
    read_only: bool = False
    addresses: tuple[str, ...] = ()
    api_version: str | None = None
    reply_key: bytes = b""  # X25519, public, made for this request: what the reply shows once is sealed to it


class PersonalKeyIssued(Changed, frozen=True, kw_only=True):
    """The key itself is said this once, `sealed` to the `reply_key` of the command and bound to the key's id."""

    key: PersonalKey
    text: str = ""  # in clear: of an auth that knows no `reply_key`
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"PersonalKeyIssued(key_id={self.key.key_id}, text='***')"


class RevokePersonalKey(Message, frozen=True, kw_only=True):
    """End a user's key at once. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    by: Actor
    user_id: uuid.UUID


class PersonalKeyRevoked(Changed, frozen=True, kw_only=True):
    """The key as it is now."""

    key: PersonalKey


class ListCalls(Message, frozen=True, kw_only=True):
    """A page of a key's single calls, newest first: the `limit` calls before the call `before`."""

    org_id: uuid.UUID
    key_id: uuid.UUID
    limit: int = 50
    before: uuid.UUID | None = None


class CallSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `call_id` is its `X-Request-Id`, `path` the route's template; `version` is empty if it named none that there is."""

    call_id: uuid.UUID
    at: datetime
    method: str
    path: str
    version: str
    status: int


class CallsSeen(Message, frozen=True, kw_only=True):
    """One page; `next` is the `before` of the following one, None at the end."""

    calls: tuple[CallSeen, ...]
    next: uuid.UUID | None = None
