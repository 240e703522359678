"""A model: a creator account on a platform, and the states its connection goes through (requirements.md section 7)."""

import enum
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from libs.common.contracts import sessions
from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message
from services.sessions.domain.errors import InvalidRequest


class State(enum.StrEnum):
    """Only `connected` is callable; `refreshing` is waited for, all others are refused."""

    CONNECTING = "connecting"
    AWAITING_2FA = "awaiting_2fa"
    CONNECTED = "connected"
    REFRESHING = "refreshing"
    SYNC_LOST = "sync_lost"
    CONNECT_FAILED = "connect_failed"
    DISCONNECTED = "disconnected"
    DELETED = "deleted"


class Change(enum.StrEnum):
    """What may happen to a model."""

    CONNECT_ASKED = "connect asked"  # by the user, with credentials
    CODE_GIVEN = "code given"
    SIGNED_IN = "signed in"
    CODE_ASKED = "code asked"  # by the platform
    REFUSED = "refused"  # by the platform: credentials, code, session
    REFRESH_BEGUN = "refresh begun"
    REFRESH_PUT_OFF = "refresh put off"  # the platform had trouble of its own
    DISCONNECT_ASKED = "disconnect asked"
    DELETE_ASKED = "delete asked"


_AFTER: Final[dict[tuple[State, Change], State]] = {
    (State.CONNECTING, Change.CONNECT_ASKED): State.CONNECTING,
    (State.CONNECTING, Change.SIGNED_IN): State.CONNECTED,
    (State.CONNECTING, Change.CODE_ASKED): State.AWAITING_2FA,
    (State.CONNECTING, Change.REFUSED): State.CONNECT_FAILED,
    (State.AWAITING_2FA, Change.CODE_GIVEN): State.CONNECTING,
    (State.AWAITING_2FA, Change.CONNECT_ASKED): State.CONNECTING,
    (State.CONNECTED, Change.REFRESH_BEGUN): State.REFRESHING,
    (State.REFRESHING, Change.REFRESH_BEGUN): State.REFRESHING,  # taken over from a process that died
    (State.REFRESHING, Change.SIGNED_IN): State.CONNECTED,
    (State.REFRESHING, Change.REFRESH_PUT_OFF): State.CONNECTED,
    (State.REFRESHING, Change.REFUSED): State.SYNC_LOST,
    (State.SYNC_LOST, Change.SIGNED_IN): State.CONNECTED,  # reconnected with what the vault holds (R16)
    (State.SYNC_LOST, Change.CODE_ASKED): State.AWAITING_2FA,
    (State.SYNC_LOST, Change.REFUSED): State.SYNC_LOST,
    (State.SYNC_LOST, Change.CONNECT_ASKED): State.CONNECTING,
    (State.CONNECT_FAILED, Change.CONNECT_ASKED): State.CONNECTING,
    (State.DISCONNECTED, Change.CONNECT_ASKED): State.CONNECTING,
    **{
        (state, Change.DISCONNECT_ASKED): State.DISCONNECTED
        for state in State
        if state not in (State.DISCONNECTED, State.DELETED)
    },
    **{(state, Change.DELETE_ASKED): State.DELETED for state in State if state is not State.DELETED},
}


BY_CONSENT: Final = frozenset(
    {"fanvue"}
)  # providers whose users are asked by the platform; nobody types a password here


class InvalidChange(Exception):
    """Not possible for a model in this state: a broken invariant, or two who act at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as of `version`."""

    model_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    label: str
    state: State
    version: int = 1
    account: str | None = None  # the platform's number of the account, once signed in
    reason: str = ""  # why it is in this state, where that is not plain
    session_number: int = 0  # rises with each new session: who met a dead one can tell whether it is still the newest
    session_ends_at: datetime | None = None
    refresh_due_at: datetime | None = None
    refresh_failures: int = 0  # in a row, by trouble of the platform
    was_connected: bool = False


LABEL_LENGTH_MAX: Final = 100


def checked_label(label: str) -> str:
    """`label` without space around it. Raises InvalidRequest for one that is empty, too long or not printable."""
    label = label.strip()
    if not 1 <= len(label) <= LABEL_LENGTH_MAX or not label.isprintable():
        raise InvalidRequest(f"label: 1 to {LABEL_LENGTH_MAX} printable characters are expected")
    return label


def changed(model: Model, change: Change, *, reason: str = "") -> Model:
    """The model after `change`, one version later. Raises InvalidChange."""
    state = _AFTER.get((model.state, change))
    if state is None:
        raise InvalidChange(f"{change} in state {model.state}")
    return replace(model, state=state, version=model.version + 1, reason=reason)


def signed_in(model: Model, *, account: str, ends_at: datetime | None, now: datetime, chance: float) -> Model:
    """The model with a new session. `chance` (0 to 1) spreads the next refresh."""
    return replace(
        changed(model, Change.SIGNED_IN),
        account=account,
        session_number=model.session_number + 1,
        session_ends_at=ends_at,
        refresh_due_at=None if ends_at is None else refresh_due(now, ends_at, chance),
        refresh_failures=0,
        was_connected=True,
    )


REFRESH_SHARE: Final = 0.8  # of a session's life, then it is renewed
JITTER: Final = 0.1  # of what is periodic: sessions made together must not be renewed together
RETRY_FIRST: Final = timedelta(seconds=30)
RETRY_MAX: Final = timedelta(minutes=30)


def refresh_due(now: datetime, ends_at: datetime, chance: float) -> datetime:
    """When to renew a session: at 80 % of its life, 10 % to either side."""
    share = REFRESH_SHARE * (1 + JITTER * (2 * chance - 1))
    return now + (ends_at - now) * share


def put_off(model: Model, *, now: datetime, chance: float) -> Model:
    """The model after a refresh that the platform's own trouble prevented: connected still, tried again later and later."""
    wait = min(RETRY_FIRST * 2**model.refresh_failures, RETRY_MAX) * (1 + JITTER * (2 * chance - 1))
    after = changed(model, Change.REFRESH_PUT_OFF, reason="platform_unavailable")
    return replace(after, refresh_due_at=now + wait, refresh_failures=model.refresh_failures + 1)


def deed_of(model: Model, action: str, by: Actor, **details: Any) -> sessions.ModelManaged:
    """What the audit log is to say: `by` did `action` with the model. `details` are plain facts, never secrets."""
    return sessions.ModelManaged(org_id=model.org_id, model_id=model.model_id, action=action, by=by, details=details)


def event_of(before: Model, after: Model) -> Message | None:
    """What to tell the world of a change; None for what is nobody's business (a refresh that went well)."""
    if before.state is after.state:
        return None
    kind: type[Message] | None = None
    match after.state:
        case State.CONNECTED if before.state is not State.REFRESHING:
            kind = sessions.ModelReconnected if before.was_connected else sessions.ModelConnected
        case State.AWAITING_2FA:
            kind = sessions.ModelAwaitingCode
        case State.CONNECT_FAILED:
            kind = sessions.ModelConnectFailed
        case State.SYNC_LOST:
            kind = sessions.ModelSyncLost
        case State.DISCONNECTED:
            kind = sessions.ModelDisconnected
        case State.DELETED:
            kind = sessions.ModelDeleted
    if kind is None:
        return None
    return kind(
        org_id=after.org_id,
        model_id=after.model_id,
        version=after.version,
        provider=after.provider,
        reason=after.reason,
    )
