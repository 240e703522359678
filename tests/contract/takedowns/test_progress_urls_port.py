"""The port `Progress` on Postgres: URLs, who has them in hand, and what happens to them. On Postgres alone, here and in the files beside
this: a double would be all of its SQL over again, and no unit test would use it; what these use cases decide is pure (`domain/`).
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.contracts.takedowns import BatchAccepted, UrlChanged
from libs.common.ids import uuid7
from services.takedowns.domain.fingerprint import Fingerprint
from services.takedowns.domain.notice import Work
from services.takedowns.domain.progress_ports import DueLook, DueUrl, Progress, UrlRef
from services.takedowns.domain.states import Category, Event, Stage, State
from services.takedowns.domain.verdict import Checked, Look, Verdict
from tests.support.takedowns_rows import HOST, NOW, ORG, OTHER, Rows, a_notice

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNTIL = NOW + 5 * MINUTE


async def claim(
    progress: Progress, at: datetime = NOW, *, states: Collection[State] = (State.READY,), limit: int = 100
) -> Sequence[DueUrl]:
    return await progress.claim_urls(states, now=at, until=at + 5 * MINUTE, limit=limit)


async def move(progress: Progress, event: Event, refs: Collection[UrlRef], **options: Any) -> list[UrlRef]:
    async with progress.transaction() as tx:
        return await tx.move(event, refs, **{"now": NOW, "next_at": None} | options)


async def test_a_url_that_is_due_is_one_claimants_until_its_time_is_up(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    due = await rows.url(owner, next_action_at=NOW)
    await rows.url(owner, next_action_at=NOW + HOUR)
    await rows.url(owner, next_action_at=NOW, state=State.NOTICED)
    await rows.url(owner)
    claims = await asyncio.gather(*(claim(progress) for _ in range(4)))
    assert [url.ref for urls in claims for url in urls] == [due]
    assert list(await claim(progress, UNTIL - SECOND)) == []
    assert [url.ref for url in await claim(progress, UNTIL)] == [due]


async def test_those_that_waited_longest_are_claimed_first(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    new, old, older = [await rows.url(owner, next_action_at=NOW - hours * HOUR) for hours in (1, 2, 3)]
    assert {url.ref for url in await claim(progress, limit=2)} == {old, older}
    assert [url.ref for url in await claim(progress, limit=2)] == [new]


async def test_a_claimed_url_comes_with_what_is_decided_by(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    past_all = await rows.url(
        owner, next_action_at=NOW, stage=4, category=Category.NCII, first_notice_at=NOW, url="https://x.example/a"
    )
    (url,) = await claim(progress)
    assert url == DueUrl(
        ref=past_all, creator=owner.public_id, org_id=ORG, url="https://x.example/a", host_id=await rows.host(),
        state=State.READY, stage=4, category=Category.NCII, was_delivered=True, is_sandbox=False, is_deleted=False,
    )  # fmt: skip


async def test_a_sandboxs_url_and_a_deleted_creators_say_so(rows: Rows, progress: Progress) -> None:
    played, gone, living = await rows.creator(is_sandbox=True), await rows.creator(deleted_at=NOW), await rows.creator()
    batch_id = uuid7()
    await rows.add("batches", id=batch_id, org_id=ORG, is_sandbox=True, status="leasing", required=1)
    refs = [await rows.url(owner, next_action_at=NOW) for owner in (played, gone, living)]
    of_batch = await rows.url(living, next_action_at=NOW, batch_id=batch_id)
    marks = {url.ref: (url.is_sandbox, url.is_deleted) for url in await claim(progress)}
    assert [marks[ref] for ref in (*refs, of_batch)] == [(True, False), (False, True), (False, False), (True, False)]


async def look_at(progress: Progress, at: datetime = NOW, *, limit: int = 100) -> Sequence[DueLook]:
    return await progress.claim_looks((State.NOTICED,), now=at, until=at + 5 * MINUTE, limit=limit)


async def test_a_look_is_one_claimants_until_its_time_is_up(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    due = await rows.url(owner, next_action_at=NOW, state=State.NOTICED)
    await rows.url(owner, next_action_at=NOW)
    looks = await asyncio.gather(*(look_at(progress) for _ in range(4)))
    assert [look.ref for each in looks for look in each] == [due]
    assert list(await look_at(progress, UNTIL - SECOND)) == []
    (again,) = await look_at(progress, UNTIL)
    assert (again.ref, again.host, again.watched.sent_at, list(again.watched.history)) == (due, HOST, None, [])
    assert (again.first, again.removed_markers, again.live_markers) == (None, (), ())


async def test_a_look_comes_with_what_it_is_judged_by(rows: Rows, progress: Progress) -> None:
    await rows.entry(removed_markers=["gone"], live_markers=["here"], escalate_after_h=9)
    owner, host_id = await rows.creator(), await rows.host(directory_id="leaks")
    ref = await rows.url(owner, next_action_at=NOW, state=State.NOTICED, stage=1)
    page, high = Fingerprint("Luna", 5), (1 << 64) - 2
    async with progress.transaction() as tx:
        for hours in (1, 3):
            notice = a_notice(owner, host_id, [ref])
            await tx.add_notice(notice, now=NOW)
            await tx.update_notice(notice.id, status="sent", sent_at=NOW - hours * HOUR)
        await tx.add_check(ref, Look(at=NOW, status=404, print_=page), Verdict.GONE)
        await tx.add_check(ref, Look(at=NOW + SECOND, print_=Fingerprint("Luna", high)), Verdict.ALIVE)
        for seconds in (2, 3, 4, 4, 5):
            await tx.add_check(ref, Look(at=NOW + seconds * SECOND, print_=page), Verdict.ALIVE)
    (look,) = await look_at(progress)
    watched = look.watched
    assert (watched.state, watched.stage, watched.sent_at) == (State.NOTICED, Stage.HOSTING, NOW - HOUR)
    assert list(watched.history) == [Checked(at=NOW + n * SECOND, verdict=Verdict.ALIVE) for n in (5, 4, 3, 2, 1)]
    assert (look.first and look.first.simhash, watched.escalate_after_h) == (high, 9)
    assert (look.removed_markers, look.live_markers) == (("gone",), ("here",))


async def test_an_event_happens_to_those_it_can_happen_to_and_once(rows: Rows, progress: Progress) -> None:
    mine, stranger = await rows.creator(), await rows.creator(org_id=OTHER)
    ready = [await rows.url(mine), await rows.url(stranger)]
    queued, unknown = await rows.url(mine, state=State.QUEUED), UrlRef(mine.creator_id, uuid7())
    asks = [
        move(progress, Event.NOTICE_SENT, [queued, unknown, *ready], next_at=NOW + HOUR, reason="site")
        for _ in range(4)
    ]
    moved = [refs for refs in await asyncio.gather(*asks) if refs]
    assert [set(refs) for refs in moved] == [set(ready)]
    assert await rows.states(queued, *ready) == [State.QUEUED, State.NOTICED, State.NOTICED]
    assert (await rows.show(ready[0]))["next_action_at"] == NOW + HOUR
    timeline = await rows.db.fetch("SELECT url_id, from_state, to_state, reason, at FROM url_events")
    assert {tuple(row) for row in timeline} == {(ref.id, State.READY, State.NOTICED, "site", NOW) for ref in ready}
    told = {}
    for message in await rows.said():
        assert isinstance(message, UrlChanged)
        told[message.org_id] = [(each.id, each.creator_id, each.previous, each.state) for each in message.changes]
    assert told == {
        ORG: [(ready[0].id, mine.public_id, "ready", "noticed")],
        OTHER: [(ready[1].id, stranger.public_id, "ready", "noticed")],
    }


async def test_of_many_changes_each_is_told_once(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    refs = [await rows.url(owner, state=State.QUEUED) for _ in range(201)]
    await move(progress, Event.HOST_KNOWN, refs)
    told = Counter(
        change.id for message in await rows.said() if isinstance(message, UrlChanged) for change in message.changes
    )
    assert told == Counter(ref.id for ref in refs)


async def test_what_is_raised_undoes_all_of_a_transaction(rows: Rows, progress: Progress) -> None:
    ref, message_id = await rows.url(await rows.creator()), uuid7()
    with pytest.raises(ZeroDivisionError):
        async with progress.transaction() as tx:
            assert await tx.accept_once(message_id)
            await tx.move(Event.NOTICE_SENT, [ref], now=NOW, next_at=None)
            await tx.tell(ORG, BatchAccepted(org_id=ORG, batch_id=uuid7(), url_count=1, new=1))
            raise ZeroDivisionError
    assert (await rows.states(ref), await rows.said()) == ([State.READY], [])
    async with progress.transaction() as tx:
        assert await tx.accept_once(message_id)


async def test_a_message_has_its_effect_once(progress: Progress) -> None:
    message_id = uuid7()

    async def accept() -> bool:
        async with progress.transaction() as tx:
            return await tx.accept_once(message_id)

    assert sorted(await asyncio.gather(*(accept() for _ in range(4)))) == [False, False, False, True]


async def test_what_is_told_goes_out_with_the_change(rows: Rows, progress: Progress) -> None:
    told = BatchAccepted(org_id=ORG, batch_id=uuid7(), url_count=1, new=1)
    async with progress.transaction() as tx:
        await tx.tell(ORG, told)
        assert await rows.said() == []
    assert await rows.said() == [told]


async def test_a_move_changes_stage_and_attempt(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    up, back = await rows.url(owner, state=State.NOTICED, stage=1), await rows.url(owner, state=State.REMOVED, stage=2)
    await move(progress, Event.DEADLINE_PASSED, [up])
    await move(progress, Event.BACK_ALIVE, [back], stage=0)
    found = [((await rows.show(ref))["stage"], (await rows.show(ref))["attempt"]) for ref in (up, back)]
    assert found == [(2, 0), (0, 1)]


async def test_the_first_notice_is_the_first_and_a_removal_has_its_time(rows: Rows, progress: Progress) -> None:
    ref = await rows.url(await rows.creator())
    await move(progress, Event.NOTICE_SENT, [ref], sets_first_notice=True)
    await move(progress, Event.DEADLINE_PASSED, [ref], now=NOW + HOUR)
    await move(progress, Event.NOTICE_SENT, [ref], now=NOW + HOUR, sets_first_notice=True)
    await move(progress, Event.GONE, [ref], now=NOW + DAY)
    row = await rows.show(ref)
    assert (row["first_notice_at"], row["removed_at"]) == (NOW, NOW + DAY)


@pytest.mark.parametrize(
    ("statuses", "first_notice_at"), [(["sent"], None), (["sent", "bounced"], None), (["sent", "sent"], NOW)]
)
async def test_where_the_notice_that_came_to_nothing_was_the_only_one_none_was_delivered(
    rows: Rows, progress: Progress, statuses: list[str], first_notice_at: datetime | None
) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    ref = await rows.url(owner, state=State.NOTICED, first_notice_at=NOW)
    notices = [a_notice(owner, host_id, [ref]) for _ in statuses]
    async with progress.transaction() as tx:
        for notice, status in zip(notices, statuses, strict=True):
            await tx.add_notice(notice, now=NOW)
            await tx.update_notice(notice.id, status=status, sent_at=NOW)
    await move(progress, Event.BOUNCED, [ref], except_notice=notices[0].id)
    assert (await rows.show(ref))["first_notice_at"] == first_notice_at


async def test_an_acknowledged_urls_clock_keeps_running(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    known = await rows.url(owner, state=State.NOTICED, next_action_at=NOW)
    removed = await rows.url(owner, state=State.REMOVED)
    for _ in range(2):
        async with progress.transaction() as tx:
            await tx.acknowledge([known, removed], now=NOW)
    assert await rows.states(known, removed) == [State.ACKNOWLEDGED, State.REMOVED]
    assert (await rows.show(known))["next_action_at"] == NOW


async def test_only_the_time_of_the_next_step_changes_and_only_in_these_states(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    ready = await rows.url(owner, next_action_at=NOW)
    noticed = await rows.url(owner, next_action_at=NOW, state=State.NOTICED)
    before = dict((await rows.show(ready)).items())
    for at in (NOW + HOUR, None):
        async with progress.transaction() as tx:
            await tx.rearm([ready, noticed], at, states=[State.READY])
        assert dict((await rows.show(ready)).items()) == before | {"next_action_at": at}
    assert (await rows.show(noticed))["next_action_at"] == NOW
    assert await rows.said() == []


async def test_only_what_is_ready_waits_for_another_stage(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    ready, noticed = await rows.url(owner), await rows.url(owner, state=State.NOTICED)
    async with progress.transaction() as tx:
        await tx.move_stage([ready, noticed], Stage.REGISTRAR, until=NOW + HOUR)
    found = [((await rows.show(ref))["stage"], (await rows.show(ref))["next_action_at"]) for ref in (ready, noticed)]
    assert found == [(Stage.REGISTRAR, NOW + HOUR), (Stage.SITE, None)]


async def test_a_url_is_awaited_while_a_notice_about_it_may_leave(rows: Rows, progress: Progress) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    statuses = ("planned", "sending", "deferred", "rendered", "sent", "bounced", "closed", "review")
    refs = {status: await rows.url(owner) for status in statuses}
    free = await rows.url(owner)
    async with progress.transaction() as tx:
        for status, ref in refs.items():
            notice = a_notice(owner, host_id, [ref])
            await tx.add_notice(notice, now=NOW)
            await tx.update_notice(notice.id, status=status)
        assert await tx.awaited([*refs.values(), free]) == {refs[each] for each in ("planned", "sending", "deferred")}
        assert await tx.awaited([free, refs["sent"]]) == set()


async def test_what_nothing_was_done_for_is_found_by_its_batch(rows: Rows, progress: Progress) -> None:
    owner, batch_id, host_id = await rows.creator(), uuid7(), await rows.host()
    queued = {await rows.url(owner, batch_id=batch_id, state=State.QUEUED) for _ in range(3)}
    await rows.url(owner, batch_id=batch_id)
    await rows.url(owner, state=State.QUEUED)
    async with progress.transaction() as tx:
        assert set(await tx.queued(batch_id, limit=9)) == {(ref, host_id) for ref in queued}
        assert len(await tx.queued(batch_id, limit=2)) == 2
        assert await tx.queued(uuid7(), limit=9) == []


async def test_a_work_is_what_a_notice_may_name_in_the_order_it_was_given(rows: Rows, progress: Progress) -> None:
    owner, bare = await rows.creator(legal_name="Maria Secret", notes="internal"), await rows.creator("Bare")
    await rows.links(owner, "reddit", "fansly")
    async with progress.transaction() as tx:
        work, other = await tx.work(owner.creator_id), await tx.work(bare.creator_id)
    assert (work.stage_name, work.legal_name) == ("Luna", "Maria Secret")
    assert [(link.platform, link.handle) for link in work.links] == [("reddit", "Luna"), ("fansly", "Luna")]
    assert other == Work(stage_name="Bare", links=(), legal_name=None)


async def test_earlier_notices_were_delivered_and_come_newest_first(rows: Rows, progress: Progress) -> None:
    owner, host_id = await rows.creator(), await rows.host()
    one, two, free = [await rows.url(owner) for _ in range(3)]
    ids: list[uuid.UUID] = []
    async with progress.transaction() as tx:
        for hours, status in ((3, "sent"), (1, "acked"), (2, "sent"), (0, "bounced")):
            notice = a_notice(owner, host_id, [one, two] if hours else [one])
            ids.append(notice.id)
            await tx.add_notice(notice, now=NOW)
            await tx.update_notice(notice.id, status=status, sent_at=NOW - hours * HOUR)
        await tx.add_notice(a_notice(owner, host_id, [one]), now=NOW)
        expected = [(ids[1], NOW - HOUR), (ids[2], NOW - 2 * HOUR), (ids[0], NOW - 3 * HOUR)]
        assert await tx.earlier([one, two], limit=9) == expected
        assert await tx.earlier([two], limit=2) == expected[:2]
        assert await tx.earlier([free], limit=9) == []


async def test_defects_in_a_row_are_counted(rows: Rows, progress: Progress) -> None:
    owner = await rows.creator()
    one, two = await rows.url(owner), await rows.url(owner)
    counts = [
        await progress.count_failures(refs, now=NOW + at)
        for at, refs in (
            (timedelta(), [one]), (SECOND, [one]), (2 * MINUTE, [one, two]), (4 * MINUTE, [one]), (2 * DAY, [one, two]),
        )
    ]  # fmt: skip
    assert counts == [{one: 1}, {one: 1}, {one: 2, two: 1}, {one: 3}, {one: 1, two: 1}]
