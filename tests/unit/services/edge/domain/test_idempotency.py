"""What names a key, what makes two requests the same, and what becomes of a key after each refusal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.catalogue import RetryClass
from libs.common.ids import uuid7
from services.edge.domain.catalogue import Route
from services.edge.domain.idempotency import KEY_LENGTH_MAX, Asking, Fate, asking_of, fate_of, key_of
from services.edge.domain.own import own_routes
from services.edge.domain.refusal import CODES, Refusal
from tests.support.edge import a_principal, a_route

WRITE = a_route(name="messages_send", method="POST", retry=RetryClass.NEVER, call="messages_send")
IDEMPOTENT = a_route(name="media_update", method="PATCH", retry=RetryClass.IDEMPOTENT, call="media_update")
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=KEY_LENGTH_MAX)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        (r'"a \"b\" \\c"', r'a "b" \c'),
        ("order 17", "order 17"),
        ('a"b', 'a"b'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_is_a_quoted_string_or_a_bare_token(header: str, key: str) -> None:
    assert key_of([header]) == key


@pytest.mark.parametrize(
    "headers",
    [
        [], [""], ['""'], ["  "], ["x" * 256], ['"' + "x" * 256 + '"'], ["clé"], ["a\tb"], ["\x7f"], ['"a'], ['"a" b'], ['"'],
        [r'"a\b"'], ['"a"b"'], ["one", "two"], ["one", "one"], ["\udc80"],
    ],
)  # fmt: skip
def test_anything_else_is_a_400_that_says_what_is_expected(headers: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        key_of(headers)
    assert (refused.value.status, refused.value.code) == (400, "INVALID_REQUEST")
    assert refused.value.public.startswith("Idempotency-Key: one key of 1 to 255 printable")


@given(PRINTABLE.filter(lambda key: key == key.strip() and not key.startswith('"')))
def test_quoted_and_bare_name_the_same_key(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert key_of([quoted]) == key_of([key]) == key


CALLER = a_principal()
REQUEST: dict[str, Any] = {
    "key": "k", "caller": CALLER, "route": WRITE, "target": "/api/x?a=1", "version": "2025-06-26", "body": b'{"a":1}',
}  # fmt: skip


def ask(**changes: Any) -> Asking:
    given = REQUEST | changes
    return asking_of(
        given["key"], given["caller"], given["route"], target=given["target"], version=given["version"],
        body=given["body"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "/api/y?a=1"}, {"target": "/api/x?a=2"}, {"version": "2026-01-01"}, {"body": b'{"a":2}'}, {"body": b""},
        {"route": IDEMPOTENT}, {"target": "/api/x?a=12", "version": "025-06-26"},
        {"caller": msgspec.structs.replace(CALLER, model_id=uuid7())},
        {"caller": msgspec.structs.replace(CALLER, kind="sandbox")},
    ],
)  # fmt: skip
def test_another_request_or_a_caller_who_sees_less_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert ask(**changes).fingerprint != ask().fingerprint
    assert ask(**changes).key_digest == ask().key_digest


def test_another_key_of_the_organization_with_the_same_view_asks_the_same() -> None:
    assert ask(caller=msgspec.structs.replace(CALLER, key_id=uuid7())) == ask()


def test_another_organization_or_key_is_another_row() -> None:
    assert ask(caller=msgspec.structs.replace(CALLER, org_id=uuid7())).org_id != CALLER.org_id
    assert ask(key="l").key_digest != ask().key_digest


@pytest.mark.parametrize("route", [route for route in own_routes() if route.shows_secret], ids=lambda route: route.name)
def test_an_answer_with_a_secret_is_only_for_the_key_that_asked(route: Route) -> None:
    other = msgspec.structs.replace(CALLER, key_id=uuid7())
    assert ask(route=route, caller=other).fingerprint != ask(route=route).fingerprint


def test_the_routes_that_show_secrets_are_known() -> None:
    found = {route.name for route in own_routes() if route.shows_secret}
    assert found == {
        "apps_create", "apps_rotate_secret", "keys_create", "keys_rotate", "models_connect", "models_reconnect", "organization_users_invite",
            "personal_key_create", "webhooks_create", "webhooks_rotate_secret",
    }  # fmt: skip


KEPT = {
    "UPSTREAM_REJECTED", "UPSTREAM_FORBIDDEN", "UPSTREAM_NOT_FOUND", "OF_API_ERROR", "OUTCOME_UNKNOWN", "NOT_FOUND",
    "MODEL_NOT_FOUND", "ROUTE_NOT_SUPPORTED", "UPSTREAM_TIMEOUT",
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_after_a_write_was_handed_over_only_what_is_definite_or_unknown_is_kept(code: str) -> None:
    expected = Fate.KEEP if code in KEPT else Fate.FREE
    expected = {"UNAVAILABLE": Fate.HOLD, "INTERNAL_ERROR": Fate.LEAVE}.get(code, expected)
    assert fate_of(Refusal(code), WRITE, has_left=True, is_taken_over=False) is expected


def test_a_call_that_may_be_repeated_and_came_too_late_may_be_repeated_under_its_key() -> None:
    assert fate_of(Refusal("UPSTREAM_TIMEOUT"), IDEMPOTENT, has_left=True, is_taken_over=False) is Fate.HOLD


@pytest.mark.parametrize("code", CODES)
def test_what_never_left_frees_the_key_unless_somebody_began_before_us(code: str) -> None:
    assert fate_of(Refusal(code), WRITE, has_left=False, is_taken_over=False) is Fate.FREE
    assert fate_of(Refusal(code), WRITE, has_left=False, is_taken_over=True) is Fate.HOLD
    unsent = Refusal(code, is_unsent=True)
    assert fate_of(unsent, WRITE, has_left=True, is_taken_over=False) is Fate.FREE
    assert fate_of(unsent, WRITE, has_left=True, is_taken_over=True) is Fate.HOLD
