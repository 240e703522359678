"""Rights: default deny, 403 before 402."""

import pytest

from libs.common.contracts.auth import PERSONAL_KEYS, Limits
from libs.common.ids import uuid7
from services.edge.domain.principal import is_expired, limited, refusal_of
from tests.support.edge import a_principal, a_route

CLIENT = "203.0.113.7"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"permissions": frozenset()}, "PERMISSION_DENIED"),
        ({"permissions": frozenset({"api_chats"})}, "PERMISSION_DENIED"),
        ({"org_state": "suspended"}, "ORGANIZATION_SUSPENDED"),
        ({"org_state": "what is this"}, "ORGANIZATION_SUSPENDED"),
        ({"read_only": True}, None),
        ({"subscription": "none"}, "NO_SUBSCRIPTION"),
        ({"subscription": "cancelled"}, "NO_SUBSCRIPTION"),
        ({"subscription": "past_due"}, "SUBSCRIPTION_PAST_DUE"),
        ({"subscription": "past_due", "permissions": frozenset()}, "PERMISSION_DENIED"),
        ({"org_state": "suspended", "permissions": frozenset(), "subscription": "none"}, "ORGANIZATION_SUSPENDED"),
        ({"addresses": ("203.0.113.0/24",)}, None),
        ({"addresses": ("198.51.100.0/24",)}, "PERMISSION_DENIED"),
        ({"addresses": ("198.51.100.0/24",), "org_state": "suspended"}, "ORGANIZATION_SUSPENDED"),
        ({"addresses": ("198.51.100.0/24",), "subscription": "none"}, "PERMISSION_DENIED"),
    ],
)
def test_refusals_in_order(changes: dict[str, object], code: str | None) -> None:
    refusal = refusal_of(a_principal(**changes), a_route(), CLIENT)
    assert (refusal.code if refusal else None) == code


def test_read_only_keys_may_only_get() -> None:
    refusal = refusal_of(a_principal(read_only=True), a_route(method="POST"), CLIENT)
    assert refusal is not None
    assert refusal.code == "READ_ONLY"


def test_own_routes_need_no_subscription() -> None:
    assert refusal_of(a_principal(subscription="none"), a_route(call="", cost_credits=0), CLIENT) is None


def test_expiry_is_exact() -> None:
    assert not is_expired(a_principal(), 10**15)
    assert not is_expired(a_principal(expires_at_ms=1_000), 999)
    assert is_expired(a_principal(expires_at_ms=1_000), 1_000)


def test_R148_a_personal_key_needs_its_organizations_feature() -> None:
    refusal = refusal_of(a_principal(kind="personal", permissions=frozenset()), a_route(), CLIENT)
    assert refusal is not None
    assert refusal.code == "NOT_ENABLED", "before the permission is looked at"
    enabled = a_principal(kind="personal", features=frozenset({PERSONAL_KEYS}))
    assert refusal_of(enabled, a_route(), CLIENT) is None


def test_R123_a_scope_that_is_missing_is_named() -> None:
    caller = a_principal(kind="personal", features=frozenset({PERSONAL_KEYS}), permissions=frozenset())
    refusal = refusal_of(caller, a_route(), CLIENT)
    assert refusal is not None
    assert (refusal.code, refusal.public) == ("SCOPE_MISSING", "Missing scope: read:chat needed")


def test_where_no_path_names_a_model_the_key_does() -> None:
    route = a_route(model_is_keys=True)
    refusal = refusal_of(a_principal(), route, CLIENT)
    assert refusal is not None
    assert refusal.code == "PERMISSION_DENIED"
    assert refusal_of(a_principal(model_id=uuid7()), route, CLIENT) is None


@pytest.mark.parametrize(
    ("own", "of_route", "stands"), [(0, 5, 5), (100, 5, 5), (3, 5, 3), (100, None, 100), (0, None, 0)]
)
def test_R153_the_stricter_limit_of_key_and_route_stands(own: int, of_route: int | None, stands: int) -> None:
    caller = a_principal(limits=Limits(key_per_minute=own))
    assert limited(caller, a_route(key_per_minute=of_route)).limits.key_per_minute == stands
