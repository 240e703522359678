"""What a principal may do: rows 4, 6 and 7 of the order of checks, as pure functions."""

from typing import Final

import msgspec

from libs.common.contracts.auth import APPS, PERSONAL_KEYS, Principal
from libs.common.contracts.catalogue import catalogue
from services.edge.domain.address import is_allowed
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal

SCOPED_KINDS: Final = frozenset({"personal", "oauth_access"})  # keys whose rights are scopes, not a role


def is_expired(caller: Principal, now_ms: int) -> bool:
    """A cached principal outlives neither its key's expiry nor, by that, its right to a 401."""
    return caller.expires_at_ms is not None and caller.expires_at_ms <= now_ms


def limited(caller: Principal, route: Route) -> Principal:
    """`caller` with the window that its key has on `route`: the route's own limit, if it is the stricter one."""
    if route.key_per_minute is None:
        return caller
    limits = caller.limits
    stricter = min(limits.key_per_minute or route.key_per_minute, route.key_per_minute)
    return msgspec.structs.replace(caller, limits=msgspec.structs.replace(limits, key_per_minute=stricter))


def refusal_of(caller: Principal, route: Route, address: str) -> Refusal | None:
    """Why `caller` may not use `route` from the client's `address` (403, then 402), or None. Default deny: no permission,
    no call.
    """
    if caller.org_state != "active":
        return Refusal("ORGANIZATION_SUSPENDED")
    if caller.kind == "personal" and PERSONAL_KEYS not in caller.features:
        return Refusal("NOT_ENABLED", "Personal keys are not enabled for this organization: ask the operator")
    if caller.kind == "oauth_access" and APPS not in caller.features:
        return Refusal("NOT_ENABLED", "Apps are not enabled for this organization: ask the operator")
    if route.feature and route.feature not in caller.features and caller.kind != "sandbox":
        return Refusal("NOT_ENABLED", "This API is not enabled for this organization: ask the operator")
    if caller.addresses and not is_allowed(caller.addresses, address):
        return Refusal("PERMISSION_DENIED", f"This key may not be used from {address}")
    if route.permission is not None and route.permission not in caller.permissions:
        return _denied(caller, route)
    if route.model_is_keys and caller.model_id is None:
        return Refusal(
            "PERMISSION_DENIED", "This key is bound to no model, and no path here names one: use a bound key"
        )
    if caller.read_only and route.method != "GET":
        return Refusal("READ_ONLY")
    if route.needs_subscription and caller.subscription != "active":
        return Refusal("SUBSCRIPTION_PAST_DUE" if caller.subscription == "past_due" else "NO_SUBSCRIPTION")
    return None


def _denied(caller: Principal, route: Route) -> Refusal:
    if caller.kind in SCOPED_KINDS and route.call:
        return Refusal("SCOPE_MISSING", f"Missing scope: {' '.join(sorted(catalogue()[route.call].scopes))} needed")
    return Refusal("PERMISSION_DENIED", f"Missing permission {route.permission}")
