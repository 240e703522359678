"""Keys: when they open something, and what a caller with one is."""

from datetime import timedelta

import msgspec
import pytest

from libs.common.ids import KEY_KINDS, uuid7
from services.auth.domain.errors import InvalidApiKey, InvalidRequest
from services.auth.domain.key import (
    KeyHolder,
    KeyKind,
    KeyState,
    checked_key_per_minute,
    checked_label,
    principal_of,
)
from services.auth.domain.organization import Organization, OrganizationState, Subscription, UserState
from services.auth.domain.role import BUILT_IN_ROLES, Role
from tests.support.auth import NOW, a_key

MS = timedelta(milliseconds=1)
ORG = uuid7()
ROLE = Role(role_id=uuid7(), org_id=ORG, name="developer", is_built_in=True)


def a_holder(**changed: object) -> KeyHolder:
    """An organization key of an active organization; `key_…` and `org_…` change the key and the organization."""
    parts: dict[str, dict[str, object]] = {"key": {}, "org": {}, "": {}}
    for name, value in changed.items():
        part = name[:3] if name[:4] in {"key_", "org_"} else ""
        parts[part][name[4:] if part else name] = value
    organization = msgspec.structs.replace(Organization(org_id=ORG, name="Example", av=7), **parts["org"])
    return msgspec.structs.replace(
        KeyHolder(key=a_key(ORG, ROLE, **parts["key"]), organization=organization, role=ROLE), **parts[""]
    )


def a_personal_holder(**changed: object) -> KeyHolder:
    scopes = frozenset({"read:chat"})
    key = a_key(ORG, None, user_id=uuid7(), scopes=scopes, **changed)
    return KeyHolder(key=key, organization=Organization(org_id=ORG, name="Example", av=7), user_state=UserState.ACTIVE)


def test_every_kind_has_the_prefix_that_the_key_format_knows() -> None:
    assert {kind.prefix: str(kind) for kind in KeyKind}.items() <= KEY_KINDS.items()


def test_R172_a_key_is_expired_at_the_instant_of_its_expiry_and_not_before() -> None:
    key = a_key(ORG, ROLE, expires_at=NOW)
    assert key.state(NOW - MS) is KeyState.ACTIVE
    assert key.state(NOW) is KeyState.EXPIRED


def test_a_revoked_key_is_revoked_even_before_its_expiry() -> None:
    assert a_key(ORG, ROLE, expires_at=NOW + MS, revoked_at=NOW).state(NOW) is KeyState.REVOKED


def test_a_principal_carries_all_that_the_checks_of_a_request_need() -> None:
    model_id = uuid7()
    plan = Subscription(version=3, plan="pro", status="active", per_minute=300, per_day=1_000)
    holder = a_holder(
        org_subscription=plan,
        org_features=frozenset({"takedowns"}),
        key_model_id=model_id,
        key_api_version="2025-06-26",
        key_key_per_minute=60,
        key_expires_at=NOW + MS,
    )
    principal = principal_of(holder, NOW)
    assert principal.key_id == holder.key.key_id
    assert (principal.kind, principal.org_id, principal.av, principal.user_id) == ("organization", ORG, 7, None)
    assert principal.permissions == BUILT_IN_ROLES["developer"]
    assert (principal.limits.per_minute, principal.limits.per_day, principal.limits.key_per_minute) == (300, 1_000, 60)
    assert (principal.org_state, principal.subscription) == ("active", "active")
    assert principal.expires_at_ms == int(NOW.timestamp()) * 1000 + 1
    assert (principal.model_id, principal.api_version, principal.read_only) == (model_id, "2025-06-26", False)
    assert principal.features == {"takedowns"}


def test_R044_R045_an_organization_without_a_plan_has_the_default_limits_and_no_subscription() -> None:
    principal = principal_of(a_holder(), NOW)
    assert (principal.limits.per_minute, principal.limits.per_day, principal.limits.key_per_minute) == (
        1_000,
        50_000,
        0,
    )
    assert principal.subscription == "none"
    assert principal.expires_at_ms is None


def test_R122_a_personal_key_speaks_for_its_user_with_its_scopes() -> None:
    holder = a_personal_holder()
    principal = principal_of(holder, NOW)
    assert (principal.kind, principal.user_id) == ("personal", holder.key.user_id)
    assert "api_chats_list" in principal.permissions
    assert "api_messages_send" not in principal.permissions


def test_R151_a_personal_key_has_a_window_of_its_own() -> None:
    assert principal_of(a_personal_holder(), NOW).limits.key_per_minute == 100
    assert principal_of(a_personal_holder(key_per_minute=5), NOW).limits.key_per_minute == 5


@pytest.mark.parametrize("flag", ["key_read_only", "org_read_only"])
def test_R159_reading_only_is_a_flag_of_the_key_or_of_the_organization(flag: str) -> None:
    assert principal_of(a_holder(**{flag: True}), NOW).read_only


def test_a_suspended_organization_is_resolved_and_says_so() -> None:
    assert principal_of(a_holder(org_state=OrganizationState.SUSPENDED), NOW).org_state == "suspended"


@pytest.mark.parametrize(
    "changed",
    [
        {"key_revoked_at": NOW},
        {"key_expires_at": NOW},
        {"org_state": OrganizationState.DELETED},
    ],
)
def test_R025_a_key_that_opens_nothing_is_invalid_and_its_answer_does_not_tell_why(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidApiKey) as caught:
        principal_of(a_holder(**changed), NOW)
    assert caught.value.public == "Invalid or missing API key"
    assert caught.value.fields == {}


@pytest.mark.parametrize("state", [UserState.SUSPENDED, UserState.REMOVED, None])
def test_R184_a_personal_key_ends_with_its_user(state: UserState | None) -> None:
    with pytest.raises(InvalidApiKey):
        principal_of(msgspec.structs.replace(a_personal_holder(), user_state=state), NOW)


def test_labels_have_1_to_100_printable_characters() -> None:
    assert checked_label(" production ") == "production"
    assert checked_label("x" * 100)
    for label in ("", "  ", "x" * 101, "a\tb"):
        with pytest.raises(InvalidRequest):
            checked_label(label)


def test_a_keys_own_limit_is_positive_and_bounded() -> None:
    assert [checked_key_per_minute(limit) for limit in (None, 1, 1_000_000)] == [None, 1, 1_000_000]
    for limit in (0, -1, 1_000_001):
        with pytest.raises(InvalidRequest):
            checked_key_per_minute(limit)
