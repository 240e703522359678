"""Rights: default deny, 403 before 402."""

import pytest

from services.edge.domain.principal import is_expired, refusal_of
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
