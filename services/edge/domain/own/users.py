"""Users: the people of an organization, invited by a link that is shown once, with roles; the last owner stays."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from libs.common.contracts import auth
from services.edge.domain.link import link_digest
from services.edge.domain.own_route import LIMIT, Asked, OwnRoute, RoleName, query_of, told
from services.edge.domain.refusal import Refusal

USERS_DEFAULT: Final = 50
USERS_MAX: Final = 1_000
EMAIL_CHARACTERS_MAX: Final = 320
OFFSET_MAX: Final = 1_000_000  # far beyond the end, where a page is empty


class InvitationOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Who is wanted, as what. Nothing is mailed: whoever invites passes the link on."""

    email: Annotated[str, msgspec.Meta(max_length=EMAIL_CHARACTERS_MAX), told(examples=["mia@example.com"])]
    role: RoleName


class UserEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about a user; what is left out stays."""

    role: RoleName | msgspec.UnsetType = msgspec.UNSET
    state: Literal["active", "suspended"] | msgspec.UnsetType = msgspec.UNSET


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has not joined yet, and the link to do so: it is shown this once and works once."""

    user: auth.User
    join_url: str
    join_url_expires_at: datetime | None


def _list(asked: Asked) -> auth.ListUsers:
    return auth.ListUsers(
        org_id=asked.org_id,
        limit=asked.number("limit", default=USERS_DEFAULT, most=USERS_MAX),
        offset=asked.number("offset", default=0, most=OFFSET_MAX),
    )


def _invite(asked: Asked) -> auth.InviteUser:
    order: InvitationOrder = asked.body
    return auth.InviteUser(
        org_id=asked.org_id, by=asked.by, email=order.email, role=order.role, link=link_digest(asked.token)
    )


def _invited(asked: Asked, reply: auth.UserInvited) -> Invited:
    return Invited(
        user=reply.user,
        join_url=f"{asked.origin}/join/{asked.token}",
        join_url_expires_at=reply.user.invited_until,
    )


def _update(asked: Asked) -> auth.UpdateUser:
    edit: UserEdit = asked.body
    if edit == UserEdit():
        raise Refusal("INVALID_REQUEST", "body: nothing to change: role or state is expected")
    return auth.UpdateUser(
        org_id=asked.org_id,
        by=asked.by,
        user_id=asked.id("user_id"),
        role=None if edit.role is msgspec.UNSET else edit.role,
        is_suspended=None if edit.state is msgspec.UNSET else edit.state == "suspended",
    )


def _remove(asked: Asked) -> auth.RemoveUser:
    return auth.RemoveUser(org_id=asked.org_id, by=asked.by, user_id=asked.id("user_id"))


def _user(reply: auth.UserUpdated) -> auth.User:
    return reply.user


ROUTES: Final = (
    OwnRoute(
        name="organization_users_list", method="GET", path="/organization/users",
        permission="api_organization_users_list", query=query_of(limit=LIMIT, offset=LIMIT), data=auth.Users,
        command=_list,
    ),
    OwnRoute(
        name="organization_users_invite", method="POST", path="/organization/users",
        permission="api_organization_users_invite", status=201, body=InvitationOrder, data=Invited, command=_invite,
        show_link=_invited, shows_secret=True, is_repeatable=True,
    ),
    OwnRoute(
        name="organization_users_update", method="PATCH", path="/organization/users/{user_id}",
        permission="api_organization_users_update", body=UserEdit, data=auth.User, command=_update, show=_user,
    ),
    OwnRoute(
        name="organization_users_remove", method="DELETE", path="/organization/users/{user_id}",
        permission="api_organization_users_remove", data=auth.User, command=_remove, show=_user,
    ),
)  # fmt: skip
