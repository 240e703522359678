"""The ports of copies for the public: `SharedNotices` on Postgres, `PublicRecord` on a Lumen database of this machine. Each alone: what a
copy says is pure (`domain/public_copy.py`), and the one use case of both is tested on real servers.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import NewNotice, Progress, UrlRef
from services.takedowns.domain.public_copy import PublicCopy, PublicRecord, SentNotice, SharedNotices
from services.takedowns.domain.states import Category, State
from services.takedowns.gateways.lumen import Lumen
from services.takedowns.store.shared_notices import PostgresSharedNotices
from tests.support.lumen import TOKEN, FakeLumen, a_lumen
from tests.support.takedowns_rows import HOST, NOW, ORG, OTHER, Rows, a_notice

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
UNTIL = NOW + 5 * MINUTE
COPY = PublicCopy(
    title="t", sender="s", recipient="r", work="w", urls=("https://leaks.example/a",), language="en", sent_on="2026-11-20"
)  # fmt: skip


@pytest.fixture
def shared(rows: Rows) -> SharedNotices:
    return PostgresSharedNotices(rows.db)


async def choose(shared: SharedNotices, *, lumen: bool = True) -> None:
    await shared.choose(ORG, lumen=lumen, by="me", now=NOW)


async def leave(
    rows: Rows, progress: Progress, *urls: UrlRef, owner: UrlOwner | None = None, at: datetime = NOW, **changes: Any
) -> NewNotice:
    """A notice that left, twice told of."""
    notice = a_notice(owner or await rows.creator(), await rows.host(), urls, **changes)
    async with progress.transaction() as tx:
        await tx.add_notice(notice, now=at)
        await tx.update_notice(notice.id, status="sent", sent_at=at)
        for _ in range(2):
            await tx.share_if_wanted(notice.id, now=at)
    return notice


async def claim(shared: SharedNotices, at: datetime = NOW) -> SentNotice | None:
    async with shared.transaction() as tx:
        return await tx.claim(now=at, until=at + 5 * MINUTE)


async def status(rows: Rows, notice: NewNotice) -> str | None:
    found: str | None = await rows.db.fetchval("SELECT status FROM lumen_copies WHERE notice_id = $1", notice.id)
    return found


async def test_nobody_shares_who_did_not_choose_to_and_the_last_choice_counts(shared: SharedNotices) -> None:
    found = [await shared.wants(ORG)]
    for lumen in (True, True, False):
        await choose(shared, lumen=lumen)
        found.append(await shared.wants(ORG))
    assert found == [False, True, True, False]
    assert not await shared.wants(OTHER)


async def test_only_copyright_notices_of_who_chose_to_share_are_due_and_each_once(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    never = await leave(rows, progress)
    await choose(shared, lumen=False)
    not_now = await leave(rows, progress)
    await choose(shared)
    mine = await leave(rows, progress)
    others = await leave(rows, progress, owner=await rows.creator(org_id=OTHER))
    consent = await leave(rows, progress, category=Category.NCII)
    assert [await status(rows, each) for each in (never, not_now, others, consent)] == [None] * 4
    claims = await asyncio.gather(*(claim(shared) for _ in range(3)))
    assert [notice.id for notice in claims if notice is not None] == [mine.id]


async def test_a_copy_is_made_of_what_the_public_may_know(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    owner = await rows.creator(legal_name="Maria Secret", notes="internal")
    await rows.links(owner, "reddit", "fansly")
    urls = [await rows.url(owner, url=f"https://x.example/{n}", state=State.NOTICED) for n in range(2)]
    withheld = await rows.url(owner, state=State.REPORTED)
    await choose(shared)
    notice = await leave(rows, progress, *urls, withheld, owner=owner, language="de")
    assert await claim(shared) == SentNotice(
        id=notice.id, host=HOST, stage_name="Luna", links=(OfficialLink("reddit", "Luna"), OfficialLink("fansly", "Luna")),
        urls=("https://x.example/0", "https://x.example/1"), language="de", sent_at=NOW, tries=1,
    )  # fmt: skip


async def test_the_copy_that_waited_longest_is_claimed_first_and_none_before_its_time(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    await choose(shared)
    late, early = [await leave(rows, progress, at=NOW + minutes * MINUTE) for minutes in (2, 1)]
    assert await claim(shared) is None
    claims = [await claim(shared, NOW + HOUR) for _ in range(3)]
    assert [notice and notice.id for notice in claims] == [early.id, late.id, None]


async def test_a_claim_that_is_undone_was_none(rows: Rows, progress: Progress, shared: SharedNotices) -> None:
    await choose(shared)
    notice = await leave(rows, progress)
    with pytest.raises(ZeroDivisionError):
        async with shared.transaction() as tx:
            assert await tx.claim(now=NOW, until=UNTIL) is not None
            raise ZeroDivisionError
    assert await status(rows, notice) == "planned"
    again = await claim(shared)
    assert again is not None
    assert again.tries == 1


async def test_what_is_not_wanted_any_more_is_withdrawn_for_good(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    await choose(shared)
    notice = await leave(rows, progress)
    await choose(shared, lumen=False)
    assert await claim(shared) is None
    await choose(shared)
    assert await claim(shared, NOW + HOUR) is None
    assert await status(rows, notice) == "withdrawn"


async def test_a_deferred_copy_is_due_again_and_one_that_was_sent_never(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    await choose(shared)
    notice = await leave(rows, progress)
    await claim(shared)
    await shared.settle(notice.id, "deferred", now=NOW, due_at=NOW + HOUR)
    assert await claim(shared, NOW + HOUR - SECOND) is None
    again = await claim(shared, NOW + HOUR)
    assert again is not None
    assert again.tries == 2
    await shared.settle(notice.id, "sent", now=NOW + HOUR, lumen_id="notices/1")
    assert await claim(shared, NOW + 9 * HOUR) is None
    row = await rows.db.fetchrow("SELECT status, sent_at, lumen_id FROM lumen_copies")
    assert row is not None
    assert tuple(row) == ("sent", NOW + HOUR, "notices/1")


async def test_a_copy_whose_sender_vanished_is_uncertain_and_never_sent_again(
    rows: Rows, progress: Progress, shared: SharedNotices
) -> None:
    await choose(shared)
    notice = await leave(rows, progress)
    await claim(shared)
    assert list(await shared.give_up_lost(now=UNTIL)) == []
    assert await status(rows, notice) == "sending"
    assert list(await shared.give_up_lost(now=UNTIL + SECOND)) == [notice.id]
    assert list(await shared.give_up_lost(now=UNTIL + SECOND)) == []
    assert await status(rows, notice) == "uncertain"
    assert await claim(shared, NOW + 9 * HOUR) is None


@pytest.fixture
async def fake() -> AsyncIterator[FakeLumen]:
    async with a_lumen() as one:
        yield one


@pytest.fixture
async def record(fake: FakeLumen) -> AsyncIterator[PublicRecord]:
    lumen = await Lumen.open(base_url=fake.url, token=TOKEN)
    yield lumen
    await lumen.close()


async def test_a_copy_is_published_under_a_name(record: PublicRecord, fake: FakeLumen) -> None:
    assert await record.publish(COPY) == f"{fake.url}/notices/1"
    (said,) = fake.notices
    assert (said["title"], said["language"], said["date_sent"]) == ("t", "en", "2026-11-20")


@pytest.mark.parametrize(
    ("status_", "error"),
    [
        (429, MailDeferred), (503, MailDeferred), (302, MailRefused), (403, MailRefused), (422, MailRefused),
        (500, MailUncertain), (200, MailUncertain), (0, MailUncertain),
    ],
)  # fmt: skip
async def test_a_copy_that_is_not_published_is_one_of_three_cases_and_not_tried_again(
    record: PublicRecord, fake: FakeLumen, status_: int, error: type[Exception]
) -> None:
    fake.answers = [status_]
    with pytest.raises(error):
        await record.publish(COPY)
    assert (fake.asked, fake.notices) == (1, [])
