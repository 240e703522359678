"""The permissions there are: one per route of the catalogue, and those of our own routes (requirements.md section 6).

A permission is a name; what a role grants is a set of them. Which route asks for which one is the edge's catalogue.
"""

from collections.abc import Iterable
from typing import Final

from libs.common.contracts.catalogue import RetryClass, catalogue

SELF_READ: Final = "api_self_read"  # part of every role: whoever holds a key may ask what it is

_OWN: Final = {
    "api_self": "read",
    "api_organization": "read update",
    "api_organization_users": "list invite update remove",
    "api_audit_log": "list",
    "api_keys": "list create read update rotate revoke",
    "api_personal_key": "read create revoke",
    "api_permissions": "list",
    "api_roles": "list create update delete",
    "api_models": "list connect read update delete submit_code reconnect disconnect",
    "api_apps": "list create read update delete rotate_secret verify_domain",
    "api_grants": "list revoke",
    "api_webhooks": "list create read update delete rotate_secret test list_deliveries replay",
    "api_credits": "read",
    "api_ledger": "list export",
    "api_usage": "read",
    "api_plans": "list",
    "api_subscription": "read update",
    "api_checkout": "create",
    "api_billing_portal": "open",
    "api_takedowns": "list read_summary read recheck cancel file submit",
    "api_takedown_batches": "list read",
    "api_takedown_notices": "read",
    "api_takedown_actions": "list",
    "api_takedown_hosts": "read",
    "api_takedown_creators": "upsert list read_stats read update delete",
    "api_transactions": "list",
}  # thing: verbs

PROXY_PERMISSIONS: Final = frozenset(route.permission for route in catalogue().values())
OWN_PERMISSIONS: Final = frozenset(f"{thing}_{verb}" for thing, verbs in _OWN.items() for verb in verbs.split())
PERMISSIONS: Final = PROXY_PERMISSIONS | OWN_PERMISSIONS

# Routes of the catalogue that look and change nothing; one that hands out a place to write to (an upload part) is no read.
READING_PROXY_PERMISSIONS: Final = frozenset(
    route.permission
    for route in catalogue().values()
    if route.retry is RetryClass.READ and not any(scope.startswith("write:") for scope in route.scopes)
)
READING_OWN_PERMISSIONS: Final = frozenset(
    f"{thing}_{verb}" for thing, verbs in _OWN.items() for verb in verbs.split() if verb.startswith(("list", "read"))
)


def own_permissions_of(*things: str) -> frozenset[str]:
    """All of our own permissions about these things (`api_keys`, `api_models`). KeyError for an unknown thing."""
    return frozenset(f"{thing}_{verb}" for thing in things for verb in _OWN[thing].split())


def permissions_of_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """What a personal key or an OAuth grant with these scopes may do: each route all of whose scopes are among them (R123)."""
    held = frozenset(scopes)
    granted = frozenset(route.permission for route in catalogue().values() if route.scopes <= held)
    return granted | {SELF_READ}
