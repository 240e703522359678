"""The port `Takedowns` on Postgres alone: it is all reading of rows, which other ports write, and no unit test needs a double of it."""

import hashlib
import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.notices import (
    ActionShown,
    HostShown,
    ListTakedowns,
    LookShown,
    NoticeBrief,
    TakedownSummary,
    TimelineEntry,
)
from libs.common.contracts.takedowns import HostContact
from libs.common.ids import uuid7
from services.takedowns.domain.inbound import Kind
from services.takedowns.domain.notice import number_of
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import NewAction, NewNotice, Progress, UrlRef
from services.takedowns.domain.states import Category, Event, Stage, State
from services.takedowns.domain.takedown_ports import Takedowns
from services.takedowns.domain.verdict import Look, Verdict
from services.takedowns.store.takedown_reads import PostgresTakedowns
from tests.support.mails import a_mail
from tests.support.takedowns_rows import HOST, MAILBOX, NOW, ORG, OTHER, Rows, a_notice

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def takedowns(rows: Rows) -> Takedowns:
    return PostgresTakedowns(rows.db)


async def an_action(
    rows: Rows, progress: Progress, owner: UrlOwner, *urls: UrlRef, **changes: Any
) -> tuple[NewNotice, NewAction]:
    """A notice for a person's hands, with what is to be done about it."""
    notice = a_notice(owner, await rows.host(), urls, status="rendered", due_at=None, **changes)
    action = NewAction(
        id=uuid7(), org_id=owner.org_id, creator_id=owner.creator_id, notice_id=notice.id, host_id=notice.host_id,
        reason="form", form_url="https://x.example/f", text="fill it in",
    )  # fmt: skip
    async with progress.transaction() as tx:
        await tx.add_notice(notice, now=NOW)
        await tx.add_action(action, now=NOW, creator=owner.public_id, host=HOST, url_count=len(urls))
    return notice, action


async def ids(takedowns: Takedowns, *, state: State | None = None, **asked: Any) -> list[uuid.UUID]:
    return [shown.id for shown in await takedowns.page(ListTakedowns(**{"org_id": ORG} | asked), state=state)]


async def test_takedowns_are_listed_newest_first_page_by_page(rows: Rows, takedowns: Takedowns) -> None:
    owner = await rows.creator()
    made = [(await rows.url(owner)).id for _ in range(5)]
    asked: dict[str, Any] = {"creator_id": owner.public_id, "limit": 2}
    first = await ids(takedowns, **asked)
    second = await ids(takedowns, **asked, after=first[-1])
    assert first + second + await ids(takedowns, **asked, after=second[-1]) == made[::-1]


async def test_a_list_is_of_what_was_asked_for(rows: Rows, takedowns: Takedowns) -> None:
    owner, batch_id = await rows.creator(), uuid7()
    of_batch = (await rows.url(owner, batch_id=batch_id)).id
    elsewhere = (await rows.url(await rows.creator("Stella"), host="other.example.com", batch_id=batch_id)).id
    removed = (await rows.url(owner, state=State.REMOVED)).id
    assert await ids(takedowns, creator_id=owner.public_id) == [removed, of_batch]
    assert await ids(takedowns, batch_id=batch_id) == [elsewhere, of_batch]
    assert await ids(takedowns, batch_id=batch_id, host="other.example.com") == [elsewhere]
    assert await ids(takedowns, creator_id=owner.public_id, batch_id=batch_id) == [of_batch]
    assert await ids(takedowns, creator_id=owner.public_id, state=State.REMOVED) == [removed]
    assert await ids(takedowns, creator_id=owner.public_id, state=State.QUEUED) == []


async def test_what_is_anothers_or_a_deleted_creators_is_not_there(
    rows: Rows, progress: Progress, takedowns: Takedowns
) -> None:
    batch_id = uuid7()
    await rows.add("batches", id=batch_id, org_id=OTHER, status="leasing", required=1)
    theirs, gone = await rows.creator(org_id=OTHER), await rows.creator(deleted_at=NOW)
    for owner in (theirs, gone):
        ref = await rows.url(owner, batch_id=batch_id, removed_at=NOW)
        assert await ids(takedowns, creator_id=owner.public_id) == []
        assert await takedowns.find(ORG, ref.id) is None
        assert not await takedowns.has_creator(ORG, owner.public_id)
    ref = await rows.url(theirs)
    notice, _ = await an_action(rows, progress, theirs, ref)
    assert await ids(takedowns, batch_id=batch_id) == []
    assert not await takedowns.has_batch(ORG, batch_id)
    assert await takedowns.notice(ORG, notice.id) is None
    assert await takedowns.open_action(ORG, ref) is None
    assert list(await takedowns.actions(ORG, after=None, limit=9)) == []
    nothing = TakedownSummary(states={}, total=0, open_actions=0, removed_30_days=0)
    assert await takedowns.summary(ORG, None, now=NOW) == nothing
    assert await takedowns.summary(ORG, theirs.public_id, now=NOW) == nothing
    assert await takedowns.has_creator(OTHER, theirs.public_id)
    assert await takedowns.has_batch(OTHER, batch_id)


async def test_a_takedown_is_found_with_its_row(rows: Rows, progress: Progress, takedowns: Takedowns) -> None:
    owner, batch_id = await rows.creator(), uuid7()
    ref = await rows.url(
        owner, batch_id=batch_id, state=State.NOTICED, stage=4, category=Category.NCII, first_notice_at=NOW,
        next_action_at=NOW + DAY, url="https://x.example/a",
    )  # fmt: skip
    async with progress.transaction() as tx:
        await tx.add_check(ref, Look(at=NOW, status=200), Verdict.ALIVE)
        await tx.add_check(ref, Look(at=NOW + SECOND, status=404), Verdict.GONE)
    found = await takedowns.find(ORG, ref.id)
    assert found is not None
    assert found[:2] == (owner, ref)
    shown = found[2]
    assert (shown.id, shown.creator_id, shown.batch_id) == (ref.id, owner.public_id, batch_id)
    assert (shown.url, shown.host, shown.state) == ("https://x.example/a", HOST, "noticed")
    assert (shown.stage, shown.category, shown.attempt) == ("search", "ncii", 0)
    assert (shown.first_notice_at, shown.removed_at, shown.next_action_at) == (NOW, None, NOW + DAY)
    assert (shown.liveness, shown.checked_at) == ("gone", NOW + SECOND)
    assert await takedowns.find(ORG, uuid7()) is None


async def test_all_that_happened_comes_newest_first(rows: Rows, progress: Progress, takedowns: Takedowns) -> None:
    owner = await rows.creator()
    ref, other = await rows.url(owner), await rows.url(owner)
    first, second = [a_notice(owner, await rows.host(), [ref, other]) for _ in range(2)]
    async with progress.transaction() as tx:
        for at, notice in enumerate((first, second)):
            await tx.add_notice(notice, now=NOW + at * HOUR)
        await tx.update_notice(first.id, status="sent", sent_at=NOW, ticket="T-1")
        await tx.add_notice(a_notice(owner, await rows.host(), [other]), now=NOW)
        await tx.move(Event.NOTICE_SENT, [ref], now=NOW, next_at=None, reason="site")
        await tx.move(Event.GONE, [ref], now=NOW + HOUR, next_at=None, reason="gone twice")
        for seconds, (status, verdict) in enumerate(((200, Verdict.ALIVE), (404, Verdict.GONE))):
            await tx.add_check(
                ref, Look(at=NOW + seconds * SECOND, status=status, final_url="https://x.example/"), verdict
            )
    found = await takedowns.find(ORG, ref.id)
    assert found is not None
    history = await takedowns.history(ref, found[2])
    assert history.takedown == found[2]
    assert history.timeline == (
        TimelineEntry(at=NOW + HOUR, state="removed", previous="noticed", reason="gone twice"),
        TimelineEntry(at=NOW, state="noticed", previous="ready", reason="site"),
    )
    briefs = [
        NoticeBrief(
            id=notice.id, number=number_of(notice.id), stage="site", channel="email", to=MAILBOX, status=status,
            planned_at=planned_at, sent_at=sent_at, ticket=ticket,
        )
        for notice, status, planned_at, sent_at, ticket in (
            (second, "planned", NOW + HOUR, None, None), (first, "sent", NOW, NOW, "T-1"),
        )
    ]  # fmt: skip
    assert history.notices == tuple(briefs)
    assert history.looks == (
        LookShown(at=NOW + SECOND, verdict="gone", http=404, final_url="https://x.example/"),
        LookShown(at=NOW, verdict="alive", http=200, final_url="https://x.example/"),
    )


async def test_a_summary_counts_a_creators_or_all(rows: Rows, progress: Progress, takedowns: Takedowns) -> None:
    owner, other = await rows.creator(), await rows.creator("Stella")
    for days, hours in ((1, 10), (29, 20), (31, 60), (91, 900)):
        at = NOW - days * DAY
        await rows.url(owner, state=State.REMOVED, removed_at=at, first_notice_at=at - hours * HOUR)
    await an_action(rows, progress, owner, await rows.url(owner, state=State.ACTION_REQUIRED))
    done, _ = await an_action(rows, progress, owner)
    async with progress.transaction() as tx:
        await tx.close_actions(done.id, by="me", now=NOW)
    await rows.url(other)
    assert await takedowns.summary(ORG, owner.public_id, now=NOW) == TakedownSummary(
        states={"removed": 4, "action_required": 1}, total=5, open_actions=1, removed_30_days=2,
        median_removal_hours=20.0,
    )  # fmt: skip
    assert await takedowns.summary(ORG, other.public_id, now=NOW) == TakedownSummary(
        states={"ready": 1}, total=1, open_actions=0, removed_30_days=0
    )
    both = await takedowns.summary(ORG, None, now=NOW)
    assert (both.states, both.total) == ({"removed": 4, "action_required": 1, "ready": 1}, 6)


async def test_what_is_to_be_done_is_found_until_it_is_done(
    rows: Rows, progress: Progress, takedowns: Takedowns
) -> None:
    owner = await rows.creator()
    one, two, free = [await rows.url(owner) for _ in range(3)]
    (older, _), (newer, action) = [
        await an_action(rows, progress, owner, *urls, channel="form") for urls in ([one], [one, two])
    ]
    assert [await takedowns.open_action(ORG, ref) for ref in (one, two, free)] == [newer.id, newer.id, None]
    async with progress.transaction() as tx:
        await tx.close_actions(older.id, by="me", now=NOW)
    assert list(await takedowns.actions(ORG, after=None, limit=9)) == [
        ActionShown(
            id=action.id, creator_id=owner.public_id, notice_id=newer.id, host=HOST, reason="form",
            form_url="https://x.example/f", to=MAILBOX, text="fill it in", url_count=2, takedown_ids=(one.id, two.id),
            opened_at=NOW,
        )
    ]  # fmt: skip
    async with progress.transaction() as tx:
        await tx.close_actions(newer.id, by="me", now=NOW)
    assert list(await takedowns.actions(ORG, after=None, limit=9)) == []
    assert await takedowns.open_action(ORG, one) is None


async def test_what_is_to_be_done_is_listed_newest_first_page_by_page(
    rows: Rows, progress: Progress, takedowns: Takedowns
) -> None:
    owner = await rows.creator()
    made = [(await an_action(rows, progress, owner))[1].id for _ in range(3)]
    first = [action.id for action in await takedowns.actions(ORG, after=None, limit=2)]
    rest = [action.id for action in await takedowns.actions(ORG, after=first[-1], limit=2)]
    assert first + rest == made[::-1]


async def test_only_a_notice_that_is_on_its_way_is_being_sent(
    rows: Rows, progress: Progress, takedowns: Takedowns
) -> None:
    owner = await rows.creator()
    ref, other = await rows.url(owner), await rows.url(owner)
    notice = a_notice(owner, await rows.host(), [ref])
    async with progress.transaction() as tx:
        await tx.add_notice(notice, now=NOW)
    found = []
    for status in ("planned", "sending", "sent"):
        async with progress.transaction() as tx:
            await tx.update_notice(notice.id, status=status)
        found.append((await takedowns.is_being_sent(ref), await takedowns.is_being_sent(other)))
    assert found == [(False, False), (True, False), (False, False)]


async def test_a_notice_shows_its_words_and_what_came_back(
    rows: Rows, progress: Progress, takedowns: Takedowns
) -> None:
    owner = await rows.creator()
    urls = [await rows.url(owner) for _ in range(2)]
    raw = bytes(a_mail("Dear desk,\ngone, please.\n"))
    notice = a_notice(owner, await rows.host(), urls, subject="TD-1", stage=Stage.HOSTING, raw=raw, reason="why")
    answers = [(Kind.ACK, "We look at it.\n> Dear desk"), (Kind.OTHER, "Again.")]
    async with progress.transaction() as tx:
        await tx.add_notice(notice, now=NOW)
        for hours, (kind, text) in enumerate(answers):
            await tx.add_inbound(bytes(a_mail(text)), kind=kind, notice_id=notice.id, now=NOW + hours * HOUR)
        await tx.add_inbound(b"Subject: x\r\n\r\nof nothing", kind=Kind.OTHER, notice_id=None, now=NOW)
    shown = await takedowns.notice(ORG, notice.id)
    assert shown is not None
    assert (shown.text, shown.sha256) == ("Dear desk,\ngone, please.\n", hashlib.sha256(raw).hexdigest())
    assert (shown.notice.id, shown.notice.stage, shown.subject, shown.reason) == (notice.id, "hosting", "TD-1", "why")
    assert (shown.creator_id, shown.host, shown.category) == (owner.public_id, HOST, "copyright")
    assert shown.takedown_ids == tuple(ref.id for ref in urls)
    said = [(answer.kind, answer.at, answer.text.strip()) for answer in shown.answers]
    assert said == [("other", NOW + HOUR, "Again."), ("ack", NOW, "We look at it.")]
    assert await takedowns.notice(ORG, uuid7()) is None


@pytest.mark.parametrize(("channel", "raw", "text"), [("form", "Für Sie".encode(), "Für Sie"), ("email", None, None)])
async def test_a_form_shows_its_text_and_what_was_not_written_yet_none(
    rows: Rows, progress: Progress, takedowns: Takedowns, channel: str, raw: bytes | None, text: str | None
) -> None:
    notice = a_notice(await rows.creator(), await rows.host(), channel=channel, raw=raw)
    async with progress.transaction() as tx:
        await tx.add_notice(notice, now=NOW)
    shown = await takedowns.notice(ORG, notice.id)
    assert shown is not None
    assert (shown.text, shown.sha256 is None) == (text, raw is None)


async def test_a_host_is_shown_with_whom_to_tell(rows: Rows, takedowns: Takedowns) -> None:
    assert await takedowns.host(HOST, now=NOW) is None
    await rows.host(hoster_name="H", hoster_email="abuse@h.example", resolved_at=NOW)
    bare = HostShown(
        host=HOST, site="example.com", contact=None, contact_source=None, is_verified=False, compliance="ok",
        hoster_name="H", hoster_email="abuse@h.example", resolved_at=NOW,
    )  # fmt: skip
    assert await takedowns.host(HOST, now=NOW) == bare
    await rows.entry(takedown_method="email", dmca_email=MAILBOX, verified_at=NOW)
    shown = await takedowns.host(HOST, now=NOW)
    assert shown is not None
    assert shown.contact == HostContact(takedown_method="email", dmca_email=MAILBOX)
    assert (shown.contact_source, shown.is_verified) == ("operator", True)
