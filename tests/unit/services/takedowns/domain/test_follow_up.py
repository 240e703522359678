"""The ladder of stages, and a year of it by a clock that is only counted."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.takedowns.domain.follow_up import (
    Followed,
    Watched,
    after_its_host,
    daily_cap,
    follow,
    gives_up_resolving,
    plan,
)
from services.takedowns.domain.host import Entry, HostFacts, Kind, Method, Source
from services.takedowns.domain.states import Category, Event, Stage, State, effect, step
from services.takedowns.domain.verdict import Checked, Verdict

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FACTS = HostFacts(
    host="leaks.example",
    site="leaks.example",
    registrar_email="abuse@r.example",
    hoster_email="abuse@h.example",
    resolved_at=NOW,
)
SITE = Entry(
    id="e", name="E", match=("leaks.example",), kind=Kind.TUBE, takedown_method=Method.EMAIL, dmca_email="dmca@leaks.example",
    source=Source.OPERATOR, verified_at=NOW,
)  # fmt: skip
SEARCH = Entry(
    id="s",
    name="S",
    match=("search.example",),
    kind=Kind.SEARCH,
    takedown_method=Method.FORM,
    form_url="https://search.example/dmca",
)


def a_plan(stage: Stage = Stage.SITE, facts: HostFacts = FACTS, **changes: Any) -> tuple[Stage, str | None, str] | None:
    options: dict[str, Any] = {
        "entries": [SITE, SEARCH], "compliance": "ok", "category": Category.COPYRIGHT, "is_dry": False, "bad": frozenset(), "now": NOW,
    }  # fmt: skip
    found = plan(stage, facts, **(options | changes))
    return None if found is None else (found.stage, found.contact.email or found.form_url, found.reason)


def test_the_ladder() -> None:
    assert [a_plan(stage) for stage in Stage] == [
        (Stage.SITE, "dmca@leaks.example", ""),
        (Stage.HOSTING, "abuse@h.example", ""),
        (Stage.REGISTRAR, "abuse@r.example", ""),
        (Stage.SEARCH, "https://search.example/dmca", "form"),
    ]


def test_rungs_without_anybody_are_passed_over() -> None:
    nobody = msgspec.structs.replace(FACTS, hoster_email=None, registrar_email=None)
    assert a_plan(Stage.HOSTING, nobody) == (Stage.SEARCH, "https://search.example/dmca", "form")
    assert a_plan(Stage.HOSTING, nobody, entries=[]) is None
    assert a_plan(compliance="futile") == (Stage.HOSTING, "abuse@h.example", "")
    assert a_plan(bad={"dmca@leaks.example"}) == (Stage.HOSTING, "abuse@h.example", "")


def test_a_guess_comes_after_those_whom_registries_know_and_is_never_mailed() -> None:
    assert a_plan(entries=[SEARCH]) == (Stage.HOSTING, "abuse@h.example", "")
    nobody = msgspec.structs.replace(FACTS, hoster_email=None, registrar_email=None)
    assert a_plan(facts=nobody, entries=[SEARCH]) == (Stage.SITE, "abuse@leaks.example", "unverified")


def test_why_a_person_is_needed() -> None:
    assert a_plan(is_dry=True) == (Stage.SITE, "dmca@leaks.example", "dry_run")
    assert a_plan(category=Category.NCII) == (Stage.SITE, "dmca@leaks.example", "ncii")
    assert a_plan(entries=[msgspec.structs.replace(SITE, verified_at=None)]) == (
        Stage.SITE,
        "dmca@leaks.example",
        "unverified",
    )
    none = msgspec.structs.replace(SITE, takedown_method=Method.NONE, dmca_email=None)
    assert a_plan(entries=[none]) == (Stage.SITE, None, "none")
    assert a_plan(now=NOW + timedelta(days=8), entries=[]) == (Stage.HOSTING, "abuse@h.example", "unverified")


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("resolve_after", "tried_for", "expected"),
    [
        (None, None, MINUTE),  # it was never tried: soon
        (-MINUTE, None, MINUTE),  # its time has come: soon
        (timedelta(minutes=5), timedelta(0), timedelta(minutes=7)),  # after it, to the minute
        (timedelta(hours=6), timedelta(hours=1), timedelta(hours=6, minutes=2)),
        (timedelta(hours=6), timedelta(hours=20), timedelta(hours=4, minutes=1)),  # but when it is given up
        (timedelta(hours=6), timedelta(hours=24) - timedelta(seconds=9), timedelta(minutes=2)),
        (timedelta(hours=6), timedelta(hours=30), timedelta(hours=6, minutes=2)),
    ],
)
def test_urls_wait_as_long_as_their_host(
    resolve_after: timedelta | None, tried_for: timedelta | None, expected: timedelta
) -> None:
    now = NOW.replace(second=0, microsecond=0)
    assert (
        after_its_host(
            resolve_after=None if resolve_after is None else now + resolve_after,
            first_tried_at=None if tried_for is None else now - tried_for,
            now=now,
        )
        == now + expected
    )


def test_giving_up_takes_tries_and_a_day() -> None:
    assert not gives_up_resolving(tries=9, first_tried_at=NOW - timedelta(hours=23), now=NOW)
    assert not gives_up_resolving(tries=2, first_tried_at=NOW - timedelta(days=3), now=NOW)
    assert not gives_up_resolving(tries=9, first_tried_at=None, now=NOW)
    assert gives_up_resolving(tries=3, first_tried_at=NOW - timedelta(hours=24), now=NOW)


def test_a_domain_earns_its_way_up() -> None:
    assert [daily_cap(days, 2_000) for days in (0, 1, 2, 5, 6, 30, 10_000)] == [
        50,
        100,
        200,
        1_600,
        2_000,
        2_000,
        2_000,
    ]
    assert daily_cap(0, 10) == 10


def a_watched(state: State = State.NOTICED, **changes: Any) -> Watched:
    return msgspec.structs.replace(Watched(state=state, stage=Stage.SITE, sent_at=NOW, removed_at=None), **changes)


def look(url: Watched, verdict: Verdict, hours: float) -> Followed:
    return follow(url, verdict, now=NOW + timedelta(hours=hours), chance=0.5)


def test_alive_past_the_deadline_goes_up_and_before_it_does_not() -> None:
    assert look(a_watched(), Verdict.ALIVE, 71).event is None
    assert look(a_watched(), Verdict.ALIVE, 72).event is Event.DEADLINE_PASSED
    assert look(a_watched(escalate_after_h=24), Verdict.ALIVE, 24).event is Event.DEADLINE_PASSED
    assert look(a_watched(stage=Stage.SEARCH), Verdict.ALIVE, 120).event is Event.LAST_DEADLINE_PASSED


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.UNRESOLVED, Verdict.GONE])
def test_without_proof_of_life_nothing_goes_up(verdict: Verdict) -> None:
    followed = look(a_watched(), verdict, 100)
    assert followed.event is None
    assert followed.next_at is not None


def test_what_waits_for_a_person_has_no_deadline() -> None:
    assert look(a_watched(State.ACTION_REQUIRED, sent_at=None), Verdict.ALIVE, 1_000).event is None


def test_removed_content_is_back_when_it_was_seen_twice() -> None:
    removed = a_watched(State.REMOVED, removed_at=NOW)
    once = look(removed, Verdict.ALIVE, 24)
    assert (once.event, once.next_at) == (None, NOW + timedelta(hours=25))
    seen = [Checked(at=NOW + timedelta(hours=24), verdict=Verdict.ALIVE)]
    assert look(msgspec.structs.replace(removed, history=seen), Verdict.ALIVE, 25).event is Event.BACK_ALIVE
    assert look(msgspec.structs.replace(removed, history=seen), Verdict.INCONCLUSIVE, 25).event is None


class Life:
    """One URL: what `follow` says is done, mails leave at once, and time is a number."""

    def __init__(self) -> None:
        self.now = NOW
        self.url = a_watched()
        self.next_at: datetime | None = NOW + timedelta(hours=6)
        self.stages: list[tuple[int, Stage]] = [(0, Stage.SITE)]
        self.states: list[State] = []
        self.looks = 0

    def is_in(self, state: State) -> bool:
        return self.url.state is state

    def look(self, verdict: Verdict) -> None:
        assert self.next_at is not None
        assert self.next_at >= self.now, "no step lies in the past"
        self.now = self.next_at
        self.looks += 1
        url = self.url
        followed = follow(url, verdict, now=self.now, chance=0.5)
        history = [Checked(at=self.now, verdict=verdict), *url.history][:5]
        self.url, self.next_at = msgspec.structs.replace(url, history=history), followed.next_at
        if followed.event is None:
            return
        moved = step(url.state, followed.event)
        self.states.append(moved.to)
        stage = url.stage + moved.stages_up
        removed_at = self.now if moved.to is State.REMOVED else url.removed_at
        self.url = msgspec.structs.replace(self.url, state=moved.to, stage=Stage(stage), removed_at=removed_at)
        if moved.to is State.READY:
            stage_now = Stage.SITE if followed.event is Event.BACK_ALIVE else Stage(stage)
            self.url = msgspec.structs.replace(
                self.url, state=effect(Event.NOTICE_SENT).to, stage=stage_now, sent_at=self.now
            )
            self.stages.append(((self.now - NOW).days, stage_now))
            self.next_at = self.now + timedelta(hours=6)


@pytest.mark.alone  # it measures time
def test_a_year_of_escalations_in_a_second() -> None:
    started = time.perf_counter()
    for _ in range(200):
        life = Life()
        while life.now < NOW + timedelta(days=365):
            life.look(Verdict.ALIVE)
        assert life.stages == [(0, Stage.SITE), (3, Stage.HOSTING), (7, Stage.REGISTRAR), (12, Stage.SEARCH)]
        assert life.is_in(State.UNRESPONSIVE)
        assert life.looks < 40, "patience, not hammering"
    assert time.perf_counter() - started < 1.0


def test_a_year_in_which_it_goes_and_comes_back() -> None:
    life = Life()
    while not life.is_in(State.REMOVED):
        life.look(Verdict.GONE)
    assert life.looks == 2
    for _ in range(4):
        life.look(Verdict.GONE)
    while life.is_in(State.REMOVED):
        life.look(Verdict.ALIVE)
    assert life.stages[-1][1] is Stage.SITE, "all over again"
    while life.now < NOW + timedelta(days=365):
        life.look(Verdict.INCONCLUSIVE)
    assert life.is_in(State.NOTICED), "what keeps us out proves nothing, for as long as it likes"
