"""The permissions there are."""

import re

from libs.common.contracts.catalogue import catalogue
from services.auth.domain.permission import (
    OWN_PERMISSIONS,
    PERMISSIONS,
    PROXY_PERMISSIONS,
    READING_OWN_PERMISSIONS,
    READING_PROXY_PERMISSIONS,
    own_permissions_of,
    permissions_of_scopes,
)


def test_there_are_sixty_permissions_of_the_catalogue_and_none_of_ours_is_among_them() -> None:
    assert len(PROXY_PERMISSIONS) == 60
    assert len(OWN_PERMISSIONS) == 76
    assert not PROXY_PERMISSIONS & OWN_PERMISSIONS
    assert len(PERMISSIONS) == 136


def test_R041_permissions_are_named_like_the_published_ones() -> None:
    assert {"api_chats_list", "api_messages_send", "api_tracking_links_create"} <= PERMISSIONS
    assert all(re.fullmatch(r"api(_[a-z0-9]+)+", name) for name in PERMISSIONS)


def test_reading_permissions_change_nothing() -> None:
    assert "api_chats_read_statuses" in READING_PROXY_PERMISSIONS  # a read that has to POST
    assert "api_messages_send" not in READING_PROXY_PERMISSIONS
    assert "api_media_upload_read_part" not in READING_PROXY_PERMISSIONS  # hands out a place to write to
    assert "api_webhooks_list_deliveries" in READING_OWN_PERMISSIONS
    assert not READING_OWN_PERMISSIONS & own_permissions_of("api_checkout", "api_billing_portal")


def test_R123_a_route_needs_all_its_scopes() -> None:
    granted = permissions_of_scopes({"write:chat"})
    assert "api_messages_send" in granted
    assert "api_mass_messages_send" not in granted  # needs read:fan too
    assert "api_mass_messages_send" in permissions_of_scopes({"write:chat", "read:fan"})


def test_no_scope_grants_nothing_but_to_ask_who_one_is() -> None:
    assert permissions_of_scopes(()) == {"api_self_read"}


def test_all_scopes_grant_every_route_and_nothing_of_ours_beyond_self() -> None:
    scopes = frozenset(scope for route in catalogue().values() for scope in route.scopes)
    assert permissions_of_scopes(scopes) == PROXY_PERMISSIONS | {"api_self_read"}
