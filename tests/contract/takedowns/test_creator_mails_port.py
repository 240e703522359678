"""One suite for the mails to organizations in memory and on Postgres."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.takedowns.domain.creator_mail import Addressee, Happening
from services.takedowns.domain.creator_mail_ports import CreatorMails
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.store.creator_mails import PostgresCreatorMails
from services.takedowns.store.creators import PostgresCreators
from tests.contract.takedowns.conftest import ORG, a_creator
from tests.support.servers import TestDatabase
from tests.support.takedowns_outside import MemoryCreatorMails

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ADD_ACTION = """WITH h AS (INSERT INTO hosts (host, site) VALUES ('leaks.example.com', 'example.com')
                           ON CONFLICT (host) DO UPDATE SET site = excluded.site RETURNING id),
                     n AS (INSERT INTO notices (id, org_id, creator_id, host_id, stage, channel, template_v, status)
                           SELECT $1, $2, $3, h.id, 0, 'form', 1, 'rendered' FROM h RETURNING id, host_id)
                INSERT INTO actions (id, org_id, creator_id, notice_id, host_id, reason, opened_at)
                SELECT $4, $2, $3, n.id, n.host_id, 'form', $5 FROM n"""


@dataclass
class Desk:
    mails: CreatorMails
    addressee: Addressee
    happens: Callable[[datetime], Awaitable[None]]
    status: Callable[[uuid.UUID], Awaitable[str]]


@pytest.fixture
def memory() -> Desk:
    addressee = Addressee(creator_id=1, org_id=ORG, stage_name="Luna", address="luna@example.com")
    mails = MemoryCreatorMails(addressee)

    async def happens(at: datetime) -> None:
        happening = Happening(kind="form", host="leaks.example.com", notice_id=uuid7(), is_sandbox=False)
        mails.happenings.append((1, at, happening))

    async def status(mail_id: uuid.UUID) -> str:
        return next(mail.status for mail in mails.mails if mail.id == mail_id)

    return Desk(mails, addressee, happens, status)


@pytest.fixture
async def postgres(database: TestDatabase) -> AsyncIterator[Desk]:
    db = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test", size_max=4)
    creators, new = PostgresCreators(db, Outbox()), a_creator(email="luna@example.com")
    async with creators.exclusive(ORG) as tx:
        await tx.add([new])
    found = await creators.find(ORG, new.public_id)
    assert found is not None

    async def happens(at: datetime) -> None:
        assert found is not None
        await db.execute(ADD_ACTION, uuid7(), ORG, found.id, uuid7(), at)

    async def status(mail_id: uuid.UUID) -> str:
        said: str = await db.fetchval("SELECT status FROM creator_mails WHERE id = $1", mail_id)
        return said

    addressee = Addressee(creator_id=found.id, org_id=ORG, stage_name="Luna", address="luna@example.com")
    yield Desk(PostgresCreatorMails(db), addressee, happens, status)
    await db.close()


@pytest.fixture(params=["memory", "postgres"])
def desk(request: pytest.FixtureRequest) -> Desk:
    found: Desk = request.getfixturevalue(request.param)
    return found


async def untold(desk: Desk, at: datetime = NOW) -> list[Addressee]:
    return list(await desk.mails.untold(before=at, quiet_since=at - timedelta(hours=1), limit=10))


async def a_mail(desk: Desk, status: str = "planned") -> uuid.UUID:
    mail_id = uuid7()
    envelope = Envelope(
        sender="a@agent.example", recipient=desk.addressee.address, raw=b"From: a@agent.example\r\n\r\nx"
    )
    async with desk.mails.transaction() as tx:
        await tx.take(desk.addressee.creator_id, now=NOW)
        await tx.add(mail_id, desk.addressee, envelope, status=status, now=NOW)
    return mail_id


async def test_what_happened_is_told_once(desk: Desk) -> None:
    assert await untold(desk) == []
    await desk.happens(NOW)
    await desk.happens(NOW + timedelta(minutes=1))
    assert await untold(desk, NOW - timedelta(minutes=1)) == []
    assert await untold(desk) == [desk.addressee]
    async with desk.mails.transaction() as tx:
        taken = await tx.take(desk.addressee.creator_id, now=NOW)
    assert [(each.kind, each.host, each.is_sandbox) for each in taken] == [("form", "leaks.example.com", False)] * 2
    assert await untold(desk) == []


async def test_what_is_raised_leaves_it_untold(desk: Desk) -> None:
    await desk.happens(NOW)
    with pytest.raises(ZeroDivisionError):
        async with desk.mails.transaction() as tx:
            await tx.take(desk.addressee.creator_id, now=NOW)
            raise ZeroDivisionError
    assert await untold(desk) == [desk.addressee]


async def test_nobody_is_mailed_twice_within_the_quiet_time(desk: Desk) -> None:
    await a_mail(desk, "rendered")
    await desk.happens(NOW)
    assert await untold(desk, NOW + timedelta(minutes=30)) == []
    assert await untold(desk, NOW + timedelta(minutes=61)) == [desk.addressee]


async def test_a_mail_is_claimed_by_one_and_again_when_it_is_due_again(desk: Desk) -> None:
    mail_id, until = await a_mail(desk), NOW + timedelta(minutes=10)
    claimed = await desk.mails.claim(now=NOW, until=until)
    assert claimed is not None
    assert (claimed[0], claimed[1], claimed[2].recipient) == (mail_id, 1, desk.addressee.address)
    assert await desk.mails.claim(now=NOW, until=until) is None
    await desk.mails.settle(mail_id, "deferred", now=NOW, due_at=NOW + timedelta(minutes=15), code=450)
    assert await desk.mails.claim(now=NOW, until=until) is None
    again = await desk.mails.claim(now=NOW + timedelta(minutes=15), until=until)
    assert again is not None
    assert again[1] == 2
    await desk.mails.settle(mail_id, "sent", now=NOW)
    assert await desk.status(mail_id) == "sent"
    assert await desk.mails.claim(now=NOW + timedelta(days=9), until=until) is None


async def test_what_is_only_rendered_is_never_claimed(desk: Desk) -> None:
    await a_mail(desk, "rendered")
    assert await desk.mails.claim(now=NOW + timedelta(days=9), until=NOW) is None


async def test_a_mail_whose_sender_vanished_is_uncertain_and_never_sent_again(desk: Desk) -> None:
    mail_id, until = await a_mail(desk), NOW + timedelta(minutes=10)
    await desk.mails.claim(now=NOW, until=until)
    await desk.mails.give_up_lost(now=NOW)
    assert await desk.status(mail_id) == "sending"
    await desk.mails.give_up_lost(now=until + timedelta(seconds=1))
    assert await desk.status(mail_id) == "uncertain"
    assert await desk.mails.claim(now=NOW + timedelta(days=9), until=until) is None
