"""Endpoints of webhooks and deliveries to them: what may be asked for, when a delivery is tried again, when an endpoint is
given up. What is announced, and in which words: `webhook_events.py`; where endpoints may lie: `webhook_url.py`.
"""

import enum
import re
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.auth.domain.errors import InvalidRequest

ENDPOINTS_MAX: Final = 50  # of one organization, with those of its apps
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
DESCRIPTION_CHARACTERS_MAX: Final = 200
OVERLAP_SECONDS_MAX: Final = 7 * 86_400
LADDER_SECONDS: Final = (
    5,
    300,
    1_800,
    7_200,
    18_000,
    36_000,
    50_400,
)  # between attempts; 32 h 35 min in all, before jitter
ATTEMPTS_MAX: Final = len(LADDER_SECONDS) + 1
JITTER: Final = 0.1  # ±10 %, so that what failed together does not come back together
RETRY_AFTER_SECONDS_MAX: Final = LADDER_SECONDS[-1]  # a receiver may ask for patience, not for ever
FAILING_DAYS_MAX: Final = 3  # without anything getting through: the endpoint is given up
CLAIM_SECONDS: Final = (
    30  # whoever sends has this long (an attempt takes at most a third of it); then somebody else does
)
IN_FLIGHT_MAX: Final = 4  # to one endpoint, from all processes
KEPT_DAYS: Final = 30  # deliveries, with their attempts
STATES_LISTED: Final = frozenset({"", "pending", "delivered", "exhausted", "superseded", "cancelled"})


class EndpointState(enum.StrEnum):
    """Whether anything is sent. What comes while an endpoint is disabled is not kept for it."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class Reason(enum.StrEnum):
    """Why an endpoint is disabled."""

    NONE = ""
    ASKED = "asked"
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing got through for days


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where an organization, or an app of it, wants to hear of events."""

    webhook_id: uuid.UUID
    org_id: uuid.UUID
    url: str
    created_at: datetime
    updated_at: datetime
    app_id: uuid.UUID | None = None
    event_types: tuple[str, ...] = ()
    description: str = ""
    state: EndpointState = EndpointState.ACTIVE
    reason: Reason = Reason.NONE
    failing_since: datetime | None = None
    secret_rotated_at: datetime | None = None
    old_secret_until: datetime | None = None

    @property
    def is_active(self) -> bool:
        return self.state is EndpointState.ACTIVE


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a line, claimed until `claimed_until` by whoever holds this."""

    line_id: int
    claimed_until: datetime
    delivery_id: uuid.UUID
    webhook_id: uuid.UUID
    org_id: uuid.UUID  # of the endpoint
    event_id: uuid.UUID
    url: str
    body: str
    attempts: int  # before this one
    failing_since: datetime | None
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Sending(delivery_id={self.delivery_id}, webhook_id={self.webhook_id})"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came back of one attempt. `status` None: no answer, `error` says why."""

    status: int | None = None
    retry_after_s: int | None = None
    error: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == 410


class Outcome(enum.StrEnum):
    """What follows from an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"  # there is another attempt
    EXHAUSTED = "exhausted"  # there is none
    GONE = "gone"  # the endpoint is disabled at once
    GIVEN_UP = "given_up"  # likewise, for it has been failing for days


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`due_at` is when the line goes on: this delivery again, or the next one."""

    outcome: Outcome
    due_at: datetime


def judged(sending: Sending, heard: Heard, now: datetime, *, jitter: float) -> Verdict:
    """What follows from `heard`. `jitter` is between -1 and 1."""
    if heard.is_taken:
        return Verdict(outcome=Outcome.DELIVERED, due_at=now)
    if heard.is_gone:
        return Verdict(outcome=Outcome.GONE, due_at=now)
    if sending.failing_since is not None and now - sending.failing_since >= timedelta(days=FAILING_DAYS_MAX):
        return Verdict(outcome=Outcome.GIVEN_UP, due_at=now)
    if sending.attempts + 1 >= ATTEMPTS_MAX:
        return Verdict(outcome=Outcome.EXHAUSTED, due_at=now)
    wait_s = LADDER_SECONDS[sending.attempts] * (1 + JITTER * jitter)
    wait_s = max(wait_s, min(heard.retry_after_s or 0, RETRY_AFTER_SECONDS_MAX))
    return Verdict(outcome=Outcome.FAILED, due_at=now + timedelta(seconds=wait_s))


def checked_types(types: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """`types`, each once, if all of them exist; else InvalidRequest naming those that do not."""
    if unknown := sorted(set(types) - set(known)):
        raise InvalidRequest(f"event_types: no such event type: {', '.join(unknown[:5])[:300]}")
    return tuple(sorted(set(types)))


def checked_description(text: str) -> str:
    """`text` if it is short and printable; else InvalidRequest."""
    if len(text) > DESCRIPTION_CHARACTERS_MAX or not re.fullmatch(r"[^\x00-\x1f\x7f]*", text):
        raise InvalidRequest(f"description: at most {DESCRIPTION_CHARACTERS_MAX} printable characters")
    return text
