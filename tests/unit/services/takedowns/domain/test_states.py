"""The table of moves: what it has, what it must not have, and which of them give credits back."""

from datetime import UTC, datetime

import pytest

from services.takedowns.domain.states import (
    RECLAIMABLE,
    REFUNDABLE,
    STEPS,
    Event,
    NoSuchStepError,
    State,
    effect,
    is_refundable,
    sources,
    step,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
MOVES = """\
host_known: queued -> ready
host_unknown: queued -> resolving
contact_found: resolving -> ready
contact_not_found: resolving -> failed_refunded, refunded
notice_sent: ready -> noticed
action_needed: ready -> action_required
filed: action_required -> noticed
acknowledged: noticed -> acknowledged
bounced: ready noticed acknowledged -> ready, stage +1, first notice cleared
all_bounced: ready noticed acknowledged -> failed_refunded, refunded, first notice cleared
gone: noticed acknowledged action_required delisted unresponsive -> removed
deadline_passed: noticed acknowledged -> ready, stage +1
last_deadline_passed: ready noticed acknowledged -> unresponsive
delisting_confirmed: noticed acknowledged action_required removed unresponsive counter_noticed rejected -> delisted
counter_noticed: noticed acknowledged removed -> counter_noticed
refused: noticed acknowledged -> rejected
back_alive: removed -> ready, attempt +1
form_demanded: noticed acknowledged -> action_required
cancelled: queued resolving ready action_required -> cancelled, refunded
reported: queued resolving ready noticed acknowledged action_required removed delisted unresponsive counter_noticed rejected \
cancelled failed_refunded -> reported
poisoned: queued resolving ready -> failed_refunded, refunded
submitted_again: cancelled failed_refunded -> queued, attempt +1"""


def move_of(event: Event) -> str:
    """An event in the words of `MOVES`."""
    made = effect(event)
    states = " ".join(state.word for state in State if state in sources(event))
    marks = {
        f"stage +{made.stages_up}": made.stages_up, f"attempt +{made.attempts_up}": made.attempts_up,
        "refunded": made.is_refunded, "first notice cleared": made.clears_first_notice,
    }  # fmt: skip
    return f"{event.value}: {states} -> {', '.join((made.to.word, *(mark for mark, has in marks.items() if has)))}"


def test_these_moves_and_no_others() -> None:
    assert [move_of(event) for event in Event] == MOVES.splitlines()


def test_every_state_is_reached_and_every_event_can_happen() -> None:
    assert {found.to for found in STEPS.values()} == set(State)
    assert {event for _, event in STEPS} == set(Event)


def test_another_move_raises() -> None:
    with pytest.raises(NoSuchStepError, match="cancelled cannot happen to a URL that is noticed"):
        step(State.NOTICED, Event.CANCELLED)


def test_a_frozen_url_moves_only_by_its_source_being_delisted() -> None:
    frozen = {event for state, event in STEPS if state is State.COUNTER_NOTICED}
    assert frozen == {Event.DELISTING_CONFIRMED, Event.REPORTED}


def test_what_was_reported_to_the_authorities_stays_so() -> None:
    assert {event for state, event in STEPS if state is State.REPORTED} == set()
    assert set(sources(Event.REPORTED)) == set(State) - {State.REPORTED}
    assert State.REPORTED not in (*RECLAIMABLE, *REFUNDABLE)


@pytest.mark.parametrize("state", list(State))
def test_a_credit_returns_before_the_first_notice_only(state: State) -> None:
    expected = state in {State.QUEUED, State.RESOLVING, State.READY, State.ACTION_REQUIRED}
    assert is_refundable(state, first_notice_at=None, refunded_at=None) is expected
    assert not is_refundable(state, first_notice_at=AT, refunded_at=None)
    assert not is_refundable(state, first_notice_at=None, refunded_at=AT)


def test_what_is_cancelled_is_refundable_and_what_was_refunded_can_be_submitted_again() -> None:
    assert set(sources(Event.CANCELLED)) == set(REFUNDABLE)
    assert set(sources(Event.SUBMITTED_AGAIN)) == set(RECLAIMABLE)
    assert {found.to for found in STEPS.values() if found.is_refunded} == set(RECLAIMABLE)


def test_relisted_content_is_worked_on_again_as_another_attempt() -> None:
    assert step(State.REMOVED, Event.BACK_ALIVE).to is State.READY
    assert step(State.REMOVED, Event.BACK_ALIVE).attempts_up == 1


@pytest.mark.parametrize("event", list(Event))
def test_an_event_does_the_same_to_every_url_it_can_happen_to(event: Event) -> None:
    assert all(found == effect(event) for (_, known), found in STEPS.items() if known is event)
