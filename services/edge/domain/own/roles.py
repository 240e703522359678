"""Roles: named sets of permissions, built in or an organization's own."""

from typing import Annotated, Final

import msgspec

from libs.common.contracts import auth
from services.edge.domain.own_route import Asked, OwnRoute, told

PERMISSIONS_MAX: Final = 500  # more than there are


class RoleEdit(msgspec.Struct, frozen=True, kw_only=True):
    """A role, whole: what is not listed is not granted."""

    name: Annotated[str, told(minLength=1, maxLength=64, examples=["chatters"])]
    permissions: Annotated[
        tuple[str, ...],
        msgspec.Meta(max_length=PERMISSIONS_MAX),
        told(examples=[["api_chats_list", "api_messages_send"]]),
    ]


def _create(asked: Asked) -> auth.CreateRole:
    edit: RoleEdit = asked.body
    return auth.CreateRole(org_id=asked.org_id, by=asked.by, name=edit.name, permissions=edit.permissions)


def _replace(asked: Asked) -> auth.ReplaceRole:
    edit: RoleEdit = asked.body
    return auth.ReplaceRole(
        org_id=asked.org_id, by=asked.by, role_id=asked.id("role_id"), name=edit.name, permissions=edit.permissions
    )


def _delete(asked: Asked) -> auth.DeleteRole:
    return auth.DeleteRole(org_id=asked.org_id, by=asked.by, role_id=asked.id("role_id"))


def _role(reply: auth.RoleCreated | auth.RoleChanged) -> auth.Role:
    return reply.role


ROUTES: Final = (
    OwnRoute(
        name="permissions_list", method="GET", path="/permissions", permission="api_permissions_list",
        data=auth.Permissions, command=lambda _: auth.ListPermissions(),
    ),
    OwnRoute(
        name="roles_list", method="GET", path="/roles", permission="api_roles_list",
        data=auth.Roles, command=lambda asked: auth.ListRoles(org_id=asked.org_id),
    ),
    OwnRoute(
        name="roles_create", method="POST", path="/roles", permission="api_roles_create",
        status=201, body=RoleEdit, data=auth.Role, command=_create, show=_role,
    ),
    OwnRoute(
        name="roles_update", method="PUT", path="/roles/{role_id}", permission="api_roles_update",
        body=RoleEdit, data=auth.Role, command=_replace, show=_role,
    ),
    OwnRoute(
        name="roles_delete", method="DELETE", path="/roles/{role_id}", permission="api_roles_delete",
        status=204, command=_delete,
    ),
)  # fmt: skip
