"""The life of a URL: its states, what may happen to it in each, and what that costs or gives back. Pure data and its look-up.

Rows keep the numbers; everything beyond the database uses the names. A move that is not in the table is a defect and raises.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec


class State(enum.IntEnum):
    """Where a URL stands. Numbers are stored: they are never given another meaning."""

    QUEUED = 1
    RESOLVING = 2
    READY = 3
    NOTICED = 4
    ACKNOWLEDGED = 5
    ACTION_REQUIRED = 6
    REMOVED = 8
    DELISTED = 9
    UNRESPONSIVE = 10
    COUNTER_NOTICED = 11
    REJECTED = 12
    CANCELLED = 13
    REPORTED = 14
    FAILED_REFUNDED = 90

    @property
    def word(self) -> str:
        """As callers see it."""
        return self.name.lower()


class Stage(enum.IntEnum):
    """Whom notices go to; without an answer the next one is asked."""

    SITE = 0
    HOSTING = 1
    REGISTRAR = 2
    SEARCH = 3


class Category(enum.IntEnum):
    """What is wrong with a URL: the work is another's, or the person shown did not consent (TAKE IT DOWN Act)."""

    COPYRIGHT = 0
    NCII = 1


class Event(enum.Enum):
    """What can happen to a URL."""

    HOST_KNOWN = "host_known"
    HOST_UNKNOWN = "host_unknown"
    CONTACT_FOUND = "contact_found"
    CONTACT_NOT_FOUND = "contact_not_found"  # nor a registrar, nor a hoster: over 24 hours and three tries
    NOTICE_SENT = "notice_sent"
    ACTION_NEEDED = "action_needed"  # form or no method, contact unverified, ncii, dry run
    FILED = "filed"  # a person did it
    ACKNOWLEDGED = "acknowledged"
    BOUNCED = "bounced"
    ALL_BOUNCED = "all_bounced"  # every stage, nothing was ever delivered
    GONE = "gone"  # two looks in a row
    DEADLINE_PASSED = "deadline_passed"  # and it is alive
    LAST_DEADLINE_PASSED = "last_deadline_passed"
    DELISTING_CONFIRMED = "delisting_confirmed"
    COUNTER_NOTICED = "counter_noticed"
    REFUSED = "refused"
    BACK_ALIVE = "back_alive"
    FORM_DEMANDED = "form_demanded"  # the host takes its form only: a person has to fill it in
    CANCELLED = "cancelled"  # by its organization, or with its creator
    REPORTED = "reported"  # it shows the abuse of children: the authorities' and nobody else's
    POISONED = "poisoned"  # its processing ended in the dead letters
    SUBMITTED_AGAIN = "submitted_again"


class Step(msgspec.Struct, frozen=True):
    """What an event makes of a state."""

    to: State
    stages_up: int = 0
    attempts_up: int = 0
    is_refunded: bool = False  # its credit returns, if it is refundable
    clears_first_notice: bool = False  # if the notice that came to nothing was its only one


_UNDELIVERED: Final = (State.NOTICED, State.ACKNOWLEDGED)
_SENT: Final = (*_UNDELIVERED, State.ACTION_REQUIRED)
_NEVER_SENT: Final = (State.QUEUED, State.RESOLVING, State.READY)
_LIVE_AFTER_NOTICE: Final = (*_SENT, State.REMOVED, State.UNRESPONSIVE, State.COUNTER_NOTICED, State.REJECTED)


def _table() -> Mapping[tuple[State, Event], Step]:
    s, e = State, Event
    steps: dict[tuple[State, Event], Step] = {
        (s.QUEUED, e.HOST_KNOWN): Step(s.READY),
        (s.QUEUED, e.HOST_UNKNOWN): Step(s.RESOLVING),
        (s.RESOLVING, e.CONTACT_FOUND): Step(s.READY),
        (s.RESOLVING, e.CONTACT_NOT_FOUND): Step(s.FAILED_REFUNDED, is_refunded=True),
        (s.READY, e.NOTICE_SENT): Step(s.NOTICED),
        (s.READY, e.ACTION_NEEDED): Step(s.ACTION_REQUIRED),
        (s.ACTION_REQUIRED, e.FILED): Step(s.NOTICED),
        (s.NOTICED, e.ACKNOWLEDGED): Step(s.ACKNOWLEDGED),
        (s.REMOVED, e.BACK_ALIVE): Step(s.READY, attempts_up=1),
        (s.REMOVED, e.COUNTER_NOTICED): Step(s.COUNTER_NOTICED),
        # The relay refused at once, or nobody is left to write to: as if it had bounced later.
        (s.READY, e.BOUNCED): Step(s.READY, stages_up=1, clears_first_notice=True),
        (s.READY, e.ALL_BOUNCED): Step(s.FAILED_REFUNDED, is_refunded=True, clears_first_notice=True),
        (s.READY, e.LAST_DEADLINE_PASSED): Step(s.UNRESPONSIVE),
    }
    for state in _UNDELIVERED:
        steps |= {
            (state, e.BOUNCED): Step(s.READY, stages_up=1, clears_first_notice=True),
            (state, e.ALL_BOUNCED): Step(s.FAILED_REFUNDED, is_refunded=True, clears_first_notice=True),
            (state, e.DEADLINE_PASSED): Step(s.READY, stages_up=1),
            (state, e.LAST_DEADLINE_PASSED): Step(s.UNRESPONSIVE),
            (state, e.COUNTER_NOTICED): Step(s.COUNTER_NOTICED),
            (state, e.REFUSED): Step(s.REJECTED),
            (state, e.FORM_DEMANDED): Step(s.ACTION_REQUIRED),
        }
    for state in (*_SENT, s.UNRESPONSIVE, s.DELISTED):
        steps[state, e.GONE] = Step(s.REMOVED)
    for state in _LIVE_AFTER_NOTICE:
        steps[state, e.DELISTING_CONFIRMED] = Step(s.DELISTED)
    for state in (*_NEVER_SENT, s.ACTION_REQUIRED):
        steps[state, e.CANCELLED] = Step(s.CANCELLED, is_refunded=True)
    for state in _NEVER_SENT:
        steps[state, e.POISONED] = Step(s.FAILED_REFUNDED, is_refunded=True)
    for state in State:
        if state is not s.REPORTED:
            steps[state, e.REPORTED] = Step(s.REPORTED)  # for ever, and never new again
    for state in (s.FAILED_REFUNDED, s.CANCELLED):
        steps[state, e.SUBMITTED_AGAIN] = Step(s.QUEUED, attempts_up=1)
    return steps


STEPS: Final[Mapping[tuple[State, Event], Step]] = _table()
RECLAIMABLE: Final = (State.CANCELLED, State.FAILED_REFUNDED)  # submitted again, it is new and costs a credit
REFUNDABLE: Final = (State.QUEUED, State.RESOLVING, State.READY, State.ACTION_REQUIRED)


class NoSuchStepError(Exception):
    """Code asked for a move that the table does not have."""


def step(state: State, event: Event) -> Step:
    """What `event` makes of a URL in `state`. Raises NoSuchStepError."""
    found = STEPS.get((state, event))
    if found is None:
        raise NoSuchStepError(f"{event.value} cannot happen to a URL that is {state.word}")
    return found


def sources(event: Event) -> tuple[State, ...]:
    """The states in which `event` can happen: the condition of a statement that moves many rows."""
    return tuple(state for state, known in STEPS if known is event)


def is_refundable(state: State, *, first_notice_at: datetime | None, refunded_at: datetime | None) -> bool:
    """Whether the credit of a URL returns if it ends now: no notice ever left, and it did not return before."""
    return refunded_at is None and first_notice_at is None and state in REFUNDABLE


def effect(event: Event) -> Step:
    """What `event` makes of any URL it can happen to: the same for all of its states, as the table is built."""
    (found,) = {step for (_, known), step in STEPS.items() if known is event}
    return found
