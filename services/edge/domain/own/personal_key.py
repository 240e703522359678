"""A user's own key, for whoever calls with it: what it is, what was called with it, its successor, its end.

The first one is issued by the operator; later also to a user who is signed in.
"""

from typing import Annotated, Final
from uuid import UUID

import msgspec

from libs.common.contracts import personal_keys
from services.edge.domain.own.keys import Addresses, Date, Label, PerMinute
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of, told
from services.edge.domain.refusal import Refusal
from services.edge.domain.reply_key import reply_key, secret_of

CALLS_DEFAULT: Final = 50
CALLS_MAX: Final = 1_000
Scopes = Annotated[
    tuple[str, ...], told(minItems=1, examples=[["read:chat", "read:fan"]], description="Not more than the key that asks has.")
]  # fmt: skip


class PersonalKeyOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The successor that is wanted; what is left out is as the key that asks has it."""

    label: Label = "personal"
    scopes: Scopes | None = None
    model_id: UUID | None = None
    expires_at: Date | None = None
    per_minute: PerMinute | None = None
    read_only: bool = False
    addresses: Addresses = ()


class NewPersonalKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made; `secret` is shown this once."""

    key: personal_keys.PersonalKey
    secret: str


def _user(asked: Asked) -> UUID:
    if asked.caller.user_id is None:
        raise Refusal("PERMISSION_DENIED", "This key is the organization's: call with a user's own")
    return asked.caller.user_id


def _issue(asked: Asked) -> personal_keys.IssuePersonalKey:
    order: PersonalKeyOrder = asked.body
    return personal_keys.IssuePersonalKey(
        org_id=asked.org_id,
        by=asked.by,
        user_id=_user(asked),
        label=order.label,
        scopes=order.scopes,
        model_id=order.model_id,
        expires_at=order.expires_at,
        per_minute=order.per_minute,
        read_only=order.read_only,
        addresses=order.addresses,
        api_version=asked.version,
        reply_key=reply_key(asked.token).public,
    )


def _calls(asked: Asked) -> personal_keys.ListCalls:
    _user(asked)
    before = asked.query.get("before")
    return personal_keys.ListCalls(
        org_id=asked.org_id,
        key_id=asked.caller.key_id,
        limit=asked.number("limit", default=CALLS_DEFAULT, most=CALLS_MAX),
        before=None if before is None else UUID(before),
    )


def _key(
    reply: personal_keys.PersonalKeyFound | personal_keys.PersonalKeyRevoked,
) -> personal_keys.PersonalKey:
    return reply.key


def _new(asked: Asked, reply: personal_keys.PersonalKeyIssued) -> NewPersonalKey:
    return NewPersonalKey(key=reply.key, secret=secret_of(reply, asked.token, bound_to=reply.key.key_id))


ROUTES: Final = (
    OwnRoute(
        name="personal_key_read", method="GET", path="/personal-key", permission="api_personal_key_read",
        data=personal_keys.PersonalKey, show=_key,
        command=lambda asked: personal_keys.GetPersonalKey(org_id=asked.org_id, user_id=_user(asked)),
    ),
    OwnRoute(
        name="personal_key_create", method="POST", path="/personal-key", permission="api_personal_key_create",
        status=201, body=PersonalKeyOrder, data=NewPersonalKey, command=_issue, show_asked=_new, shows_secret=True,
    ),
    OwnRoute(
        name="personal_key_revoke", method="DELETE", path="/personal-key", permission="api_personal_key_revoke",
        data=personal_keys.PersonalKey, show=_key,
        command=lambda asked: personal_keys.RevokePersonalKey(org_id=asked.org_id, by=asked.by, user_id=_user(asked)),
    ),
    OwnRoute(
        name="personal_key_list_calls", method="GET", path="/personal-key/calls", permission="api_personal_key_read",
        query=query_of(limit=LIMIT, before=ID), data=personal_keys.CallsSeen, command=_calls,
    ),
)  # fmt: skip
