"""The port `Progress` on Postgres: notices, the mailboxes they go to, what came back, and what people have to do."""

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from libs.common.contracts.takedowns import ActionRequired, SendNotice
from libs.common.ids import uuid7
from services.takedowns.domain.follow_up import HARD_BOUNCES, WARM_UP_FIRST_DAY
from services.takedowns.domain.host import Source
from services.takedowns.domain.inbound import Kind
from services.takedowns.domain.progress_ports import HeldNotice, MailboxState, NewAction, NewNotice, Progress
from services.takedowns.domain.states import Category, Stage, State
from tests.support.takedowns_rows import HOST, MAILBOX, NOW, ORG, Rows, a_notice, somebody_waits

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNTIL = NOW + 5 * MINUTE


async def add(progress: Progress, *notices: NewNotice) -> None:
    async with progress.transaction() as tx:
        for notice in notices:
            await tx.add_notice(notice, now=NOW)


async def update(progress: Progress, notice: NewNotice, status: str, **changes: Any) -> None:
    async with progress.transaction() as tx:
        await tx.update_notice(notice.id, status=status, **changes)


async def hold(progress: Progress, notice: NewNotice) -> HeldNotice:
    async with progress.transaction() as tx:
        held = await tx.hold_notice(notice.id)
    assert held is not None
    return held


async def a_planned_one(rows: Rows, progress: Progress, **changes: Any) -> NewNotice:
    """A notice that is stored, about one URL."""
    owner = await rows.creator()
    notice = a_notice(owner, await rows.host(), [await rows.url(owner)], **changes)
    await add(progress, notice)
    return notice


async def claim(progress: Progress, at: datetime = NOW, *, limit: int = 100) -> Sequence[uuid.UUID]:
    return await progress.claim_notices(now=at, until=at + 5 * MINUTE, limit=limit)


async def test_a_due_notice_gets_one_job_until_its_time_is_up(rows: Rows, progress: Progress) -> None:
    due = await a_planned_one(rows, progress)
    await a_planned_one(rows, progress, due_at=NOW + HOUR)
    await a_planned_one(rows, progress, status="rendered")
    claims = await asyncio.gather(*(claim(progress) for _ in range(4)))
    assert [id_ for ids in claims for id_ in ids] == [due.id]
    assert list(await claim(progress, UNTIL - SECOND)) == []
    assert list(await claim(progress, UNTIL + SECOND)) == [due.id]
    assert await rows.said() == [SendNotice(notice_id=due.id)] * 2


async def test_a_deferred_notice_is_due_again_and_one_that_left_never(rows: Rows, progress: Progress) -> None:
    notice = await a_planned_one(rows, progress)
    await update(progress, notice, "deferred", due_at=NOW + HOUR)
    assert list(await claim(progress)) == []
    assert list(await claim(progress, NOW + HOUR)) == [notice.id]
    await update(progress, notice, "sent", due_at=NOW, sent_at=NOW)
    assert list(await claim(progress, NOW + DAY)) == []


async def test_notices_that_waited_longest_are_claimed_first(rows: Rows, progress: Progress) -> None:
    new, old = [await a_planned_one(rows, progress, due_at=NOW - hours * HOUR) for hours in (1, 2)]
    assert [list(await claim(progress, limit=1)) for _ in range(3)] == [[old.id], [new.id], []]


async def test_a_notice_whose_sender_vanished_is_found_after_its_time(rows: Rows, progress: Progress) -> None:
    lost, sent = [await a_planned_one(rows, progress) for _ in range(2)]
    await update(progress, lost, "sending", claimed_until=UNTIL, is_try=True)
    await update(progress, sent, "sent", claimed_until=UNTIL, sent_at=NOW)
    assert list(await progress.lost_sendings(now=UNTIL, limit=9)) == []
    assert list(await progress.lost_sendings(now=UNTIL + SECOND, limit=9)) == [lost.id]
    assert list(await claim(progress, NOW + DAY)) == [], "it is never sent again by itself"


async def test_a_held_notice_comes_with_what_it_is_made_from(rows: Rows, progress: Progress) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    ready, noticed = await rows.url(owner, url="https://x.example/a"), await rows.url(owner, state=State.NOTICED)
    notice = a_notice(owner, host_id, [ready, noticed], stage=Stage.HOSTING, category=Category.NCII, language="de")
    await add(progress, notice)
    held = await hold(progress, notice)
    assert (held.urls, held.all_urls) == (((ready, "https://x.example/a"),), (ready, noticed))
    assert (held.org_id, held.creator_id, held.creator) == (ORG, owner.creator_id, owner.public_id)
    assert (held.host.id, held.host.facts.host, held.work.stage_name) == (host_id, HOST, "Luna")
    assert (held.stage, held.category, held.language) == (Stage.HOSTING, Category.NCII, "de")
    assert (held.channel, held.to_addr, held.msg_id, held.status) == ("email", MAILBOX, notice.msg_id, "planned")
    assert (held.tries, held.planned_at, held.sent_at, held.thread_root) == (0, NOW, None, None)
    assert (held.is_sandbox, held.is_creator_deleted) == (False, False)
    async with progress.transaction() as tx:
        assert await tx.hold_notice(uuid7()) is None


async def test_a_held_notice_knows_a_sandbox_and_a_creator_that_went(rows: Rows, progress: Progress) -> None:
    played, gone, living = await rows.creator(is_sandbox=True), await rows.creator(deleted_at=NOW), await rows.creator()
    batch_id, host_id = uuid7(), await rows.host()
    await rows.add("batches", id=batch_id, org_id=ORG, is_sandbox=True, status="leasing", required=1)
    notices = [
        a_notice(played, host_id),
        a_notice(gone, host_id),
        a_notice(living, host_id, [await rows.url(living, batch_id=batch_id)]),
    ]
    await add(progress, *notices)
    held = [await hold(progress, notice) for notice in notices]
    assert [each.is_sandbox for each in held] == [True, False, True]
    assert [each.is_creator_deleted for each in held] == [False, True, False]


async def test_whoever_wants_a_held_notice_waits_and_finds_what_became_of_it(rows: Rows, progress: Progress) -> None:
    notice = await a_planned_one(rows, progress)
    async with progress.transaction() as tx:
        assert await tx.hold_notice(notice.id) is not None
        second = asyncio.create_task(hold(progress, notice))
        await somebody_waits(rows.db)
        await tx.update_notice(notice.id, status="sending", claimed_until=UNTIL)
    assert (await second).status == "sending"


async def test_none_leaves_what_a_notice_has_and_times_are_set_as_given(rows: Rows, progress: Progress) -> None:
    notice = await a_planned_one(rows, progress)
    kept = {"raw": b"mail", "subject": "TD-1", "sent_at": NOW, "ticket": "T-1", "code": 250}
    await update(progress, notice, "sent", due_at=NOW, claimed_until=NOW, followup_at=NOW, is_try=True, **kept)
    await update(progress, notice, "acked", reason="they said so")
    row = await rows.db.fetchrow("SELECT * FROM notices WHERE id = $1", notice.id)
    assert row is not None
    assert [row[name] for name in ("raw", "subject", "sent_at", "ticket", "last_code")] == list(kept.values())
    assert row["sha256"] == hashlib.sha256(b"mail").digest()
    assert [row[name] for name in ("due_at", "claimed_until", "next_followup_at")] == [None] * 3
    assert (row["status"], row["reason"], row["tries"]) == ("acked", "they said so", 1)


async def test_cancelled_urls_leave_a_notice(rows: Rows, progress: Progress) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    kept, cancelled = await rows.url(owner), await rows.url(owner, state=State.CANCELLED)
    notice, other = [a_notice(owner, host_id, [kept, cancelled]) for _ in range(2)]
    await add(progress, notice, other)
    async with progress.transaction() as tx:
        await tx.drop_urls(notice.id, [kept])
    assert (await hold(progress, notice)).all_urls == (kept,)
    assert (await hold(progress, other)).all_urls == (kept, cancelled)


async def test_mails_of_one_conversation_name_its_first(rows: Rows, progress: Progress) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    first, second = a_notice(owner, host_id), a_notice(owner, host_id)
    to_others = [
        a_notice(owner, host_id, to_addr="abuse@other.example"),
        a_notice(owner, host_id, stage=Stage.HOSTING),
        a_notice(await rows.creator("Stella"), host_id),
    ]
    await add(progress, first)
    async with progress.transaction() as tx:
        assert await tx.thread_root(owner.creator_id, host_id, Stage.SITE, MAILBOX) is None, "it has not left"
    await update(progress, first, "sent", sent_at=NOW)
    await add(progress, second, *to_others)
    await update(progress, second, "sent", sent_at=NOW + HOUR)
    roots = [(await hold(progress, notice)).thread_root for notice in (second, *to_others)]
    assert roots == [first.msg_id, None, None, None]
    async with progress.transaction() as tx:
        assert await tx.thread_root(owner.creator_id, host_id, Stage.SITE, MAILBOX) == first.msg_id


async def test_the_newest_mail_to_a_host_left_or_will(rows: Rows, progress: Progress) -> None:
    owner, host_id, other_id = await rows.creator(), await rows.host(), await rows.host("other.example.com")
    sent, planned = a_notice(owner, host_id), a_notice(owner, host_id, due_at=NOW + HOUR)
    form = a_notice(owner, host_id, channel="form", to_addr=None, status="sent", due_at=NOW + DAY)

    async def last() -> datetime | None:
        async with progress.transaction() as tx:
            assert await tx.last_planned(owner.creator_id, other_id) is None
            return await tx.last_planned(owner.creator_id, host_id)

    assert await last() is None
    await add(progress, sent, form)
    await update(progress, sent, "sent", sent_at=NOW - HOUR)
    assert await last() == NOW - HOUR
    await add(progress, planned)
    assert await last() == NOW + HOUR
    await update(progress, planned, "closed")
    assert await last() == NOW - HOUR


async def test_an_action_is_told_and_closed_once(rows: Rows, progress: Progress) -> None:
    notice = await a_planned_one(rows, progress, status="rendered")
    action = NewAction(
        id=uuid7(), org_id=ORG, creator_id=notice.creator_id, notice_id=notice.id, host_id=notice.host_id,
        reason="form", form_url="https://x.example/f", text="fill it in",
    )  # fmt: skip
    creator = uuid7()
    async with progress.transaction() as tx:
        await tx.add_action(action, now=NOW, creator=creator, host=HOST, url_count=3)
    (told,) = await rows.said()
    assert told == ActionRequired(
        org_id=ORG, action_id=action.id, creator_id=creator, host=HOST, reason="form", url_count=3
    )
    for at, by in ((NOW, "first"), (NOW + HOUR, "second")):
        async with progress.transaction() as tx:
            await tx.close_actions(notice.id, by=by, now=at)
    (row,) = await rows.db.fetch("SELECT * FROM actions")
    assert (row["closed_at"], row["closed_by"], row["text"]) == (NOW, "first", "fill it in")


async def mailbox(progress: Progress, at: datetime = NOW) -> MailboxState:
    async with progress.transaction() as tx:
        return await tx.mailbox(MAILBOX, now=at)


async def know(progress: Progress, source: Source = Source.OPERATOR, verified_at: datetime | None = NOW) -> None:
    async with progress.transaction() as tx:
        await tx.know_mailbox(MAILBOX, source, verified_at)


async def release(progress: Progress, at: datetime = NOW, **how: bool) -> bool:
    async with progress.transaction() as tx:
        return await tx.release_mailbox(MAILBOX, now=at, **how)


async def test_the_newest_word_about_a_mailbox_counts_and_its_record_stays(progress: Progress) -> None:
    await know(progress, Source.RDAP, NOW - DAY)
    await release(progress, was_sent=True)
    await know(progress, Source.SHIPPED, None)
    found = await mailbox(progress)
    assert (found.source, found.verified_at, found.sent_in_hour) == (Source.SHIPPED, None, 1)


async def test_a_mailbox_is_busy_while_a_mail_to_it_is_under_way(progress: Progress) -> None:
    await know(progress)
    assert not (await mailbox(progress)).is_busy
    async with progress.transaction() as tx:
        await tx.claim_mailbox(MAILBOX, UNTIL)
    assert [(await mailbox(progress, at)).is_busy for at in (NOW, UNTIL - SECOND, UNTIL)] == [True, True, False]
    assert not await release(progress)
    assert not (await mailbox(progress)).is_busy


async def test_two_that_write_to_one_mailbox_wait_for_each_other(rows: Rows, progress: Progress) -> None:
    await know(progress)
    async with progress.transaction() as tx:
        assert not (await tx.mailbox(MAILBOX, now=NOW)).is_busy
        second = asyncio.create_task(mailbox(progress))
        await somebody_waits(rows.db)
        await tx.claim_mailbox(MAILBOX, UNTIL)
    assert (await second).is_busy


async def test_mails_are_counted_for_an_hour_from_the_first(progress: Progress) -> None:
    await know(progress)
    for minutes in (0, 30):
        await release(progress, NOW + minutes * MINUTE, was_sent=True)
    await release(progress, NOW + 31 * MINUTE)
    found = await mailbox(progress, NOW + 59 * MINUTE)
    assert (found.sent_in_hour, found.hour_ends_at) == (2, NOW + HOUR)
    assert (await mailbox(progress, NOW + HOUR)).sent_in_hour == 0
    await release(progress, NOW + HOUR, was_sent=True)
    found = await mailbox(progress, NOW + HOUR)
    assert (found.sent_in_hour, found.hour_ends_at) == (1, NOW + 2 * HOUR)


async def test_so_many_hard_bounces_make_a_mailbox_bad_for_good(progress: Progress) -> None:
    await know(progress)
    bounces = [await release(progress, hard_bounce=True) for _ in range(HARD_BOUNCES)]
    assert bounces == [False] * (HARD_BOUNCES - 1) + [True]
    assert await release(progress, was_sent=True)
    await know(progress)
    assert (await mailbox(progress)).is_bad
    async with progress.transaction() as tx:
        await tx.know_mailbox("abuse@other.example", Source.RDAP, NOW)
        assert await tx.bad_mailboxes() == {MAILBOX}


async def take(progress: Progress, at: datetime = NOW, *, domain: str = "a.example", most: int = 3) -> bool:
    async with progress.transaction() as tx:
        return await tx.take_daily(domain, now=at, most=most)


async def test_a_days_mails_end_at_its_limit_whoever_sends_them(progress: Progress) -> None:
    assert sorted(await asyncio.gather(*(take(progress) for _ in range(5)))) == [False] * 2 + [True] * 3
    assert await take(progress, domain="b.example")
    assert await take(progress, NOW + DAY)


async def test_a_young_domain_has_a_smaller_limit_that_grows_with_its_days(rows: Rows, progress: Progress) -> None:
    await rows.add("mail_days", domain="a.example", day=NOW.date(), sent=WARM_UP_FIRST_DAY - 1)
    assert [await take(progress, most=1_000) for _ in range(2)] == [True, False]
    await rows.add("mail_days", domain="a.example", day=(NOW - DAY).date(), sent=1)
    assert await take(progress, most=1_000)


async def test_a_mail_that_came_in_has_its_effect_once(rows: Rows, progress: Progress) -> None:
    notice = await a_planned_one(rows, progress)

    async def receive(raw: bytes, notice_id: uuid.UUID | None) -> bool:
        async with progress.transaction() as tx:
            return await tx.add_inbound(raw, kind=Kind.ACK, notice_id=notice_id, now=NOW)

    assert sorted(await asyncio.gather(*(receive(b"a", notice.id) for _ in range(3)))) == [False, False, True]
    assert [await receive(raw, None) for raw in (b"a", b"b")] == [False, True]
