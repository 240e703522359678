"""Roles: named sets of permissions. Five are built in and the same for every organization; others are its own.

What a built-in role grants is decided here and not stored, so a new permission reaches every organization with the release.
"""

import re
import uuid
from collections.abc import Iterable
from typing import Final

import msgspec

from services.auth.domain.errors import InvalidRequest
from services.auth.domain.permission import (
    PERMISSIONS,
    PROXY_PERMISSIONS,
    READING_OWN_PERMISSIONS,
    READING_PROXY_PERMISSIONS,
    SELF_READ,
    own_permissions_of,
)

OWNER: Final = "owner"
ROLES_MAX: Final = 200  # of one organization

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]")

# What a developer leaves to the owner: people, roles and money.
_OWNERS_BUSINESS: Final = (
    own_permissions_of("api_audit_log", "api_checkout", "api_billing_portal")
    | (own_permissions_of("api_organization_users") - {"api_organization_users_list"})
    | (own_permissions_of("api_roles") - {"api_roles_list"})
    | {"api_organization_update", "api_subscription_update"}
)
_CONVERSATION: Final = re.compile(
    r"api_(agency_)?(users|chats|messages|mass_messages|user_lists|followers|subscribers|fans|media|vault)_.*"
    r"|api_(vault_lists|agency_creators)_list"
)
_OVERVIEW: Final = frozenset({SELF_READ, "api_organization_read", "api_credits_read"})

BUILT_IN_ROLES: Final[dict[str, frozenset[str]]] = {
    OWNER: PERMISSIONS,
    "developer": PERMISSIONS - _OWNERS_BUSINESS,
    "messaging": frozenset(name for name in PROXY_PERMISSIONS if _CONVERSATION.fullmatch(name))
    | _OVERVIEW
    | {"api_models_list", "api_models_read"},
    "takedowns": frozenset(name for name in PERMISSIONS if name.startswith("api_takedown"))
    | _OVERVIEW
    | {"api_transactions_list"},
    "read_only": READING_PROXY_PERMISSIONS | READING_OWN_PERMISSIONS,
}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role of one organization. `granted` is what is stored: empty for a built-in one."""

    role_id: uuid.UUID
    org_id: uuid.UUID
    name: str
    is_built_in: bool = False
    granted: frozenset[str] = frozenset()

    @property
    def permissions(self) -> frozenset[str]:
        """Everything that a key with this role may do."""
        if self.is_built_in:
            return BUILT_IN_ROLES[self.name]
        return self.granted | {SELF_READ}


def checked_role_name(name: str) -> str:
    """`name` if an organization may call its own role so; else InvalidRequest. Built-in names are taken, in any case."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("A role's name has 1 to 64 letters, digits, spaces, dots, dashes or underscores")
    if name.lower() in BUILT_IN_ROLES:
        raise InvalidRequest(f"The role {name.lower()} is built in")
    return name


def checked_permissions(names: Iterable[str]) -> frozenset[str]:
    """`names` as a set if all of them exist; else InvalidRequest naming the ones that do not."""
    wanted = frozenset(names)
    if unknown := sorted(wanted - PERMISSIONS):
        raise InvalidRequest(f"No such permission: {', '.join(unknown[:5])}")
    return wanted
