"""Roles: what the built-in ones grant, and what an organization's own may be."""

import pytest

from libs.common.contracts.catalogue import catalogue
from libs.common.ids import uuid7
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.permission import PERMISSIONS, PROXY_PERMISSIONS
from services.auth.domain.role import BUILT_IN_ROLES, Role, checked_permissions, checked_role_name


def a_role(**changed: object) -> Role:
    return Role(**({"role_id": uuid7(), "org_id": uuid7(), "name": "support"} | changed))  # type: ignore[arg-type]


def test_the_five_built_in_roles_grant_existing_permissions_only() -> None:
    assert list(BUILT_IN_ROLES) == ["owner", "developer", "messaging", "takedowns", "read_only"]
    for granted in BUILT_IN_ROLES.values():
        assert "api_self_read" in granted
        assert granted <= PERMISSIONS


def test_the_owner_may_everything() -> None:
    assert BUILT_IN_ROLES["owner"] == PERMISSIONS


def test_a_developer_calls_every_route_but_leaves_people_roles_and_money_to_the_owner() -> None:
    developer = BUILT_IN_ROLES["developer"]
    assert developer >= PROXY_PERMISSIONS
    assert {"api_keys_create", "api_webhooks_create", "api_organization_users_list", "api_roles_list"} <= developer
    for name in (
        "api_organization_users_invite",
        "api_organization_update",
        "api_roles_update",
        "api_checkout_create",
        "api_subscription_update",
        "api_audit_log_list",
    ):
        assert name not in developer


def test_messaging_is_about_conversations() -> None:
    messaging = BUILT_IN_ROLES["messaging"]
    assert {
        "api_messages_send",
        "api_agency_messages_send",
        "api_mass_messages_send",
        "api_vault_list_media",
    } <= messaging
    assert {"api_user_lists_create", "api_fans_read", "api_media_upload_signed_create"} <= messaging
    for name in ("api_payouts_read_stats", "api_posts_create", "api_tracking_links_create", "api_agency_earnings_list"):
        assert name not in messaging


def test_takedowns_reaches_no_model() -> None:
    takedowns = BUILT_IN_ROLES["takedowns"]
    assert {"api_takedowns_submit", "api_takedown_creators_delete", "api_transactions_list"} <= takedowns
    assert not takedowns & PROXY_PERMISSIONS


def test_read_only_holds_no_route_that_writes() -> None:
    by_permission = {route.permission: route for route in catalogue().values()}
    for name in BUILT_IN_ROLES["read_only"] & PROXY_PERMISSIONS:
        assert not any(scope.startswith("write:") for scope in by_permission[name].scopes)
    verbs = (
        "create",
        "update",
        "delete",
        "revoke",
        "send",
        "connect",
        "rotate",
        "submit",
        "invite",
        "remove",
        "upsert",
    )
    assert not [name for name in BUILT_IN_ROLES["read_only"] if any(f"_{verb}" in name for verb in verbs)]


def test_a_role_of_ones_own_grants_what_is_stored_and_self_read() -> None:
    assert a_role(granted=frozenset({"api_chats_list"})).permissions == {"api_chats_list", "api_self_read"}
    assert a_role().permissions == {"api_self_read"}


def test_a_built_in_role_grants_what_the_code_says() -> None:
    assert a_role(name="messaging", is_built_in=True).permissions == BUILT_IN_ROLES["messaging"]


@pytest.mark.parametrize("name", ["a", "Support team 2", "a.b-c_d", "x" * 64])
def test_a_roles_name_may_be(name: str) -> None:
    assert checked_role_name(name) == name


@pytest.mark.parametrize("name", ["", " a", "a ", "x" * 65, "a\n", "a/b", "é", "owner", "Read_Only", "DEVELOPER"])
def test_a_roles_name_may_not_be(name: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_role_name(name)


def test_unknown_permissions_are_named_and_refused() -> None:
    with pytest.raises(InvalidRequest, match="api_nope"):
        checked_permissions(["api_chats_list", "api_nope"])
    assert checked_permissions(["api_chats_list", "api_chats_list"]) == {"api_chats_list"}
