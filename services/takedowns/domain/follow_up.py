"""What is done next for a URL: whom to tell and how, and what a look at its page changes. Pure; the use cases carry it out."""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.takedowns.domain.host import Contact, Entry, HostFacts, Method, Source, contact_at, is_verified, stages_of
from services.takedowns.domain.states import Category, Event, Stage, State
from services.takedowns.domain.verdict import TWO_HARD, Checked, Verdict, deadline, next_look, settled

GATHER: Final = timedelta(minutes=5)  # URLs of one creator and host wait this long for others, to travel in one mail
RESOLVE_AGAIN: Final = timedelta(minutes=1)
RESOLVE_TRIES: Final = 3
RESOLVE_FOR: Final = timedelta(hours=24)
PAIR_EVERY: Final = timedelta(minutes=15)  # one mail per creator and host
RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 240, 720))  # after a temporary refusal
DEFERRED_FOR: Final = timedelta(hours=48)  # then the next stage is asked
MAILBOX_PER_HOUR: Final = 20
HARD_BOUNCES: Final = 2  # then nobody is written to at that address
WARM_UP_FIRST_DAY: Final = 50


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell at which stage. `reason`: why a person has to do it; empty: it is mailed."""

    stage: Stage
    contact: Contact
    reason: str = ""
    form_url: str | None = None
    desk: str | None = None  # the interface that takes it, instead of a mailbox


def plan(
    stage: Stage,
    facts: HostFacts,
    entries: Iterable[Entry],
    *,
    compliance: str,
    category: Category,
    is_dry: bool,
    bad: Container[str],
    now: datetime,
    desks: Container[str] = (),
) -> Step | None:
    """The next step from `stage` on, or None: there is nobody left. `bad`: mailboxes that bounced for good.

    A site without an entry has a guessed mailbox only. It is passed over for those behind the site that registries vouch for;
    search engines come last, and after the guess. `desks`: abuse desks whose interfaces can be used; without one its form is for a person.
    """
    entries = tuple(entries)
    found = [
        (at, contact)
        for at in stages_of(compliance)
        if at >= stage and (contact := contact_at(at, facts, entries)) is not None and contact.email not in bad
    ]
    found.sort(key=lambda pair: (pair[0] is Stage.SEARCH, pair[1].source is Source.GUESS, pair[0]))
    if not found:
        return None
    at, contact = found[0]
    form_url = contact.form_url if contact.method is not Method.EMAIL else None
    if category is Category.NCII:
        return Step(stage=at, contact=contact, reason="ncii", form_url=contact.ncii_form_url or form_url)
    if contact.api is not None and contact.api in desks and is_verified(contact, at, now):
        return Step(stage=at, contact=contact, reason="dry_run" if is_dry else "", form_url=form_url, desk=contact.api)
    if contact.method is not Method.EMAIL:
        return Step(stage=at, contact=contact, reason="form" if form_url else "none", form_url=form_url)
    if not is_verified(contact, at, now):
        return Step(stage=at, contact=contact, reason="unverified")
    return Step(stage=at, contact=contact, reason="dry_run" if is_dry else "")


def gives_up_resolving(*, tries: int, first_tried_at: datetime | None, now: datetime) -> bool:
    """Whether nobody was found for so long that the credits return."""
    return first_tried_at is not None and tries >= RESOLVE_TRIES and now - first_tried_at >= RESOLVE_FOR


def after_its_host(*, resolve_after: datetime | None, first_tried_at: datetime | None, now: datetime) -> datetime:
    """When URLs that wait for their host are looked after again: a little after it is, and when it is given up. To the minute, so that
    those of hosts that were tried together go on together.
    """
    soon = now + RESOLVE_AGAIN
    if resolve_after is None or resolve_after <= now:
        return soon
    at = resolve_after + RESOLVE_AGAIN
    if first_tried_at is not None and first_tried_at + RESOLVE_FOR > now:
        at = min(at, max(soon, first_tried_at + RESOLVE_FOR))
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)


def daily_cap(days_before: int, most: int) -> int:
    """How many mails a sending domain may send today, after so many days with mails: twice as many each day."""
    return most if days_before > 20 else min(most, WARM_UP_FIRST_DAY << days_before)


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that is looked at. `sent_at`: when its last notice left or was filed; `history`: newest first."""

    state: State
    stage: Stage
    sent_at: datetime | None
    removed_at: datetime | None
    escalate_after_h: int | None = None
    history: Sequence[Checked] = ()


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What a look changes. `event` None: nothing but the time of the next look."""

    event: Event | None
    next_at: datetime | None
    reason: str = ""


def follow(url: Watched, verdict: Verdict, *, now: datetime, chance: float) -> Followed:
    """What `verdict` means for `url`, together with those before it."""
    look = Checked(at=now, verdict=verdict)
    if url.state is not State.REMOVED and settled(look, url.history):
        next_at = next_look(state=State.REMOVED, verdict=verdict, now=now, since=now, chance=chance)
        return Followed(event=Event.GONE, next_at=next_at, reason=f"{verdict.value} twice")
    if url.state is State.REMOVED and verdict is Verdict.ALIVE:
        if _alive_twice(look, url.history):
            return Followed(event=Event.BACK_ALIVE, next_at=now, reason="alive again")
        return Followed(event=None, next_at=now + TWO_HARD)
    ends_at = _deadline(url)
    if ends_at is not None and ends_at <= now and verdict is Verdict.ALIVE:
        if url.stage is Stage.SEARCH:
            next_at = next_look(state=State.UNRESPONSIVE, verdict=verdict, now=now, since=now, chance=chance)
            return Followed(event=Event.LAST_DEADLINE_PASSED, next_at=next_at, reason="no effect after every stage")
        return Followed(event=Event.DEADLINE_PASSED, next_at=now, reason=f"alive after {url.stage.name.lower()}")
    since = (url.removed_at if url.state is State.REMOVED else url.sent_at) or now
    return Followed(
        event=None,
        next_at=next_look(state=url.state, verdict=verdict, now=now, since=since, chance=chance, deadline_at=ends_at),
    )


def _deadline(url: Watched) -> datetime | None:
    if url.state not in {State.NOTICED, State.ACKNOWLEDGED} or url.sent_at is None:
        return None
    return deadline(url.stage, sent_at=url.sent_at, escalate_after_h=url.escalate_after_h)


def _alive_twice(look: Checked, history: Sequence[Checked]) -> bool:
    """One look never brings a URL back either: a notice about content that is gone would be false."""
    for earlier in history:
        if earlier.verdict is not Verdict.ALIVE:
            return False
        if look.at - earlier.at >= TWO_HARD:
            return True
    return False
