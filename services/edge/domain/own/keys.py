"""Keys: made, listed, changed, rotated and revoked by a key that may. The key itself is shown once, when it is made."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec

from libs.common.contracts import auth
from services.edge.domain.own_route import LIMIT, Asked, OwnRoute, RoleName, query_of, told
from services.edge.domain.refusal import Refusal
from services.edge.domain.reply_key import reply_key, secret_of

KEYS_DEFAULT: Final = 50
KEYS_MAX: Final = 1_000
OVERLAP_SECONDS_MAX: Final = 86_400
ADDRESSES_MAX: Final = 100
OFFSET_MAX: Final = 1_000_000  # far beyond the end, where a page is empty

Date = Annotated[datetime, msgspec.Meta(tz=True)]
Addresses = Annotated[
    tuple[str, ...],
    msgspec.Meta(max_length=ADDRESSES_MAX, description="Addresses and networks (CIDR) a key may be used from."),
]
Label = Annotated[str, told(minLength=1, maxLength=100, examples=["CRM"])]
PerMinute = Annotated[int, told(minimum=1, maximum=1_000_000, examples=[120])]


class KeyOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The key that is wanted; what is left out is as the maker has it, or as it is usual."""

    label: Label
    role: RoleName
    expires_at: Date | None = None
    per_minute: PerMinute | None = None
    model_id: UUID | None = None
    read_only: bool = False
    addresses: Addresses = ()


class KeyEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about a key; what is left out stays."""

    label: Label | msgspec.UnsetType = msgspec.UNSET
    role: RoleName | msgspec.UnsetType = msgspec.UNSET
    addresses: Addresses | msgspec.UnsetType = msgspec.UNSET  # `[]`: from anywhere


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """How long the old key goes on beside the new one, and when the new one ends."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = 0
    expires_at: Date | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made; `secret` is shown this once."""

    key: auth.Key
    secret: str


def _list(asked: Asked) -> auth.ListKeys:
    return auth.ListKeys(
        org_id=asked.org_id,
        limit=asked.number("limit", default=KEYS_DEFAULT, most=KEYS_MAX),
        offset=asked.number("offset", default=0, most=OFFSET_MAX),
    )


def _create(asked: Asked) -> auth.CreateKey:
    order: KeyOrder = asked.body
    return auth.CreateKey(
        org_id=asked.org_id,
        by=asked.by,
        label=order.label,
        role=order.role,
        expires_at=order.expires_at,
        per_minute=order.per_minute,
        model_id=order.model_id,
        read_only=order.read_only,
        addresses=order.addresses,
        api_version=asked.version,
        reply_key=reply_key(asked.token).public,
    )


def _update(asked: Asked) -> auth.UpdateKey:
    edit: KeyEdit = asked.body
    if edit == KeyEdit():
        raise Refusal("INVALID_REQUEST", "body: nothing to change: label, role or addresses is expected")
    return auth.UpdateKey(
        org_id=asked.org_id,
        by=asked.by,
        key_id=asked.id("key_id"),
        label=None if edit.label is msgspec.UNSET else edit.label,
        role=None if edit.role is msgspec.UNSET else edit.role,
        addresses=None if edit.addresses is msgspec.UNSET else edit.addresses,
    )


def _rotate(asked: Asked) -> auth.RotateKey:
    rotation: Rotation = asked.body
    return auth.RotateKey(
        org_id=asked.org_id,
        by=asked.by,
        key_id=asked.id("key_id"),
        overlap_seconds=rotation.overlap_seconds,
        expires_at=rotation.expires_at,
        reply_key=reply_key(asked.token).public,
    )


def _revoke(asked: Asked) -> auth.RevokeKey:
    return auth.RevokeKey(org_id=asked.org_id, by=asked.by, key_id=asked.id("key_id"))


def _key(reply: auth.FoundKey | auth.KeyUpdated) -> auth.Key:
    return reply.key


def _new_key(asked: Asked, reply: auth.KeyCreated | auth.KeyRotated) -> NewKey:
    return NewKey(key=reply.key, secret=secret_of(reply, asked.token, bound_to=reply.key.key_id))


ROUTES: Final = (
    OwnRoute(
        name="keys_list", method="GET", path="/keys", permission="api_keys_list",
        query=query_of(limit=LIMIT, offset=LIMIT), data=auth.Keys, command=_list,
    ),
    OwnRoute(
        name="keys_create", method="POST", path="/keys", permission="api_keys_create",
        status=201, body=KeyOrder, data=NewKey, command=_create, show_asked=_new_key, shows_secret=True,
    ),
    OwnRoute(
        name="keys_read", method="GET", path="/keys/{key_id}", permission="api_keys_read", data=auth.Key,
        command=lambda asked: auth.GetKey(org_id=asked.org_id, key_id=asked.id("key_id")), show=_key,
    ),
    OwnRoute(
        name="keys_update", method="PATCH", path="/keys/{key_id}", permission="api_keys_update",
        body=KeyEdit, data=auth.Key, command=_update, show=_key,
    ),
    OwnRoute(
        name="keys_revoke", method="DELETE", path="/keys/{key_id}", permission="api_keys_revoke",
        data=auth.Key, command=_revoke, show=_key,
    ),
    OwnRoute(
        name="keys_rotate", method="POST", path="/keys/{key_id}/rotate", permission="api_keys_rotate",
        status=201, body=Rotation, data=NewKey, command=_rotate, show_asked=_new_key, shows_secret=True,
    ),
)  # fmt: skip
