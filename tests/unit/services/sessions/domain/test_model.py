"""The states of a model."""

import itertools
from datetime import timedelta

import pytest

from libs.common.contracts import sessions
from services.sessions.domain.model import (
    Change,
    InvalidChange,
    State,
    changed,
    event_of,
    put_off,
    refresh_due,
    signed_in,
)
from tests.support.fakes_sessions import NOW, a_model

# requirements.md section 7, as an independent list of what may follow what
ALLOWED = {
    "connecting": {"connecting", "connected", "awaiting_2fa", "connect_failed", "disconnected", "deleted"},
    "awaiting_2fa": {"connecting", "disconnected", "deleted"},
    "connected": {"refreshing", "disconnected", "deleted"},
    "refreshing": {"refreshing", "connected", "sync_lost", "disconnected", "deleted"},
    "sync_lost": {"sync_lost", "connected", "awaiting_2fa", "connecting", "disconnected", "deleted"},
    "connect_failed": {"connecting", "disconnected", "deleted"},
    "disconnected": {"connecting", "deleted"},
    "deleted": set(),
}


def test_only_the_documented_transitions_exist() -> None:
    found: dict[str, set[str]] = {state: set() for state in State}
    for state, change in itertools.product(State, Change):
        try:
            found[state].add(changed(a_model(state), change).state)
        except InvalidChange:
            continue
    assert found == ALLOWED


def test_each_change_is_one_version_and_explains_itself() -> None:
    after = changed(a_model(State.REFRESHING, version=7), Change.REFUSED, reason="credentials_refused")
    assert (after.state, after.version, after.reason) == (State.SYNC_LOST, 8, "credentials_refused")


def test_trouble_of_the_platform_keeps_a_model_connected_and_waits_longer_each_time() -> None:
    model, waits = a_model(State.REFRESHING), []
    for _ in range(9):
        after = put_off(model, now=NOW, chance=0.5)
        assert after.state is State.CONNECTED
        assert after.refresh_due_at is not None
        waits.append((after.refresh_due_at - NOW).total_seconds())
        model = changed(after, Change.REFRESH_BEGUN)
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_session_is_renewed_ahead_with_jitter(chance: float) -> None:
    due = refresh_due(NOW, NOW + timedelta(hours=1), chance)
    assert timedelta(minutes=43) <= due - NOW <= timedelta(minutes=53)
    assert (due - NOW == timedelta(minutes=48)) == (chance == 0.5)


def test_a_session_without_a_known_end_is_not_renewed_ahead() -> None:
    after = signed_in(a_model(State.CONNECTING), account="1001", ends_at=None, now=NOW, chance=0.5)
    assert (after.refresh_due_at, after.session_number, after.account) == (None, 1, "1001")


EVENTS = [
    (State.CONNECTING, False, Change.SIGNED_IN, sessions.ModelConnected),
    (State.CONNECTING, True, Change.SIGNED_IN, sessions.ModelReconnected),
    (State.SYNC_LOST, True, Change.SIGNED_IN, sessions.ModelReconnected),
    (State.REFRESHING, True, Change.SIGNED_IN, None),
    (State.CONNECTING, False, Change.CODE_ASKED, sessions.ModelAwaitingCode),
    (State.CONNECTING, False, Change.REFUSED, sessions.ModelConnectFailed),
    (State.REFRESHING, True, Change.REFUSED, sessions.ModelSyncLost),
    (State.SYNC_LOST, True, Change.REFUSED, None),
    (State.CONNECTED, True, Change.REFRESH_BEGUN, None),
    (State.CONNECTED, True, Change.DISCONNECT_ASKED, sessions.ModelDisconnected),
]


@pytest.mark.parametrize(("state", "was_connected", "change", "event"), EVENTS)
def test_what_is_told_of_a_change(
    state: State, was_connected: bool, change: Change, event: type[sessions.ModelConnected] | None
) -> None:
    before = a_model(state, was_connected=was_connected)
    after = changed(before, change, reason="why")
    told = event_of(before, after)
    assert type(told) is (event or type(None))
    if told is not None:
        assert told == event(  # type: ignore[misc]
            org_id=after.org_id, model_id=after.model_id, version=after.version, provider="sandbox", reason="why"
        )
