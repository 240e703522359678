"""What organizations are told by mail about a creator, over a real relay: to whom, what of, and what never leaves."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from libs.common.contracts.creators import CreatorInput, DeleteCreator, OfficialLink, SubmitCreators
from services.takedowns.domain.host import Source
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, MAILBOX, World, a_world

OTHER = "other-leaks.com"
LINKS = (OfficialLink("onlyfans", "luna"),)


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        await one.entry()
        await an_unverified_entry(one)
        yield one


@pytest.fixture
async def dry(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path, is_dry=True) as one:
        await one.entry()
        yield one


async def an_unverified_entry(world: World) -> None:
    """A host whose contact nobody vouches for: a person has to act."""
    await world.entry(
        id="other", match=(f".{OTHER}",), dmca_email=f"dmca@{OTHER}", source=Source.SHIPPED, verified_at=None
    )


async def a_creator(
    world: World, *, email: str = "luna@example.com", notification_email: str | None = None
) -> uuid.UUID:
    said = CreatorInput(
        stage_name="Luna Vale", email=email, official_links=LINKS, legal_name="Maria Secret",
        notification_email=notification_email, notes="known under SECRETNOTE",
    )  # fmt: skip
    await world.takedowns.do.register_creators(SubmitCreators(org_id=world.takedowns.org_id, creators=(said,)))
    found: uuid.UUID = await world.takedowns.db.fetchval("SELECT public_id FROM creators WHERE email = $1", email)
    return found


def told(world: World) -> list[EmailMessage]:
    """Mails that went to somebody else than the host."""
    return [mail for mail in world.sink.messages() if mail["To"] != MAILBOX]


def an_answer(world: World, text: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "abuse@example.net", world.reply_to(), "Re: DMCA notice"
    mail.set_content(text)
    return mail


async def later(world: World, *, minutes: int) -> None:
    world.clock.advance(minutes=minutes)
    await world.do.tell_creators()


@pytest.mark.parametrize(("given", "to"), [("team@agency.example", "team@agency.example"), (None, "luna@example.com")])
async def test_R176_a_counter_notice_is_told_to_the_notification_address_else_to_the_creators(
    world: World, given: str | None, to: str
) -> None:
    await world.begin("/a", "/b", creator=await a_creator(world, notification_email=given), notes="SECRETBATCH")
    world.receive(an_answer(world, "I submit a counter notification under 17 U.S.C. 512(g)(3)."))
    await world.turn(minutes=1)
    await later(world, minutes=1)
    assert told(world) == [], "others may come to travel with it"
    await later(world, minutes=6)
    (mail,) = told(world)
    assert (mail["To"], mail["Auto-Submitted"]) == (to, "auto-generated")
    assert mail["Subject"] == "Takedowns of Luna Vale: a counter-notice came in"
    text = mail.get_content()
    assert f"{HOST}: 1" in text
    for secret in ("Maria", "SECRETNOTE", "SECRETBATCH", "http://"):
        assert secret not in str(mail)
    await later(world, minutes=180)
    assert len(told(world)) == 1, "once"


async def test_R176_acknowledgements_and_what_is_to_be_done_travel_together_and_the_next_mail_waits_an_hour(
    world: World,
) -> None:
    creator = await a_creator(world)
    await world.begin("/a", creator=creator)
    world.receive(an_answer(world, "We received your report. Ticket #4711."))
    await world.do.read_mail()  # type: ignore[misc]
    await world.begin("/b", host=OTHER, creator=creator)  # nobody vouches for its contact
    await later(world, minutes=10)
    (mail,) = told(world)
    assert mail["Subject"] == "Takedowns of Luna Vale: 1 to look at"
    assert f"    {HOST}: 1" in mail.get_content().splitlines()
    assert f"    {OTHER}: 1" in mail.get_content().splitlines()
    await world.takedowns.db.execute("UPDATE actions SET told_at = NULL")
    await later(world, minutes=10)
    assert len(told(world)) == 1
    await later(world, minutes=61)
    assert len(told(world)) == 2


async def test_R176_dry_run_writes_a_file_and_opens_no_socket(dry: World) -> None:
    await dry.begin("/a", creator=await a_creator(dry, notification_email="team@agency.example"))
    await later(dry, minutes=10)
    (file,) = dry.dry.glob("creator-*.eml")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["To"] == "team@agency.example"
    assert (dry.sink.connections, dry.sink.mails) == (0, [])


async def test_a_sandboxs_and_a_deleted_creators_people_are_never_mailed(world: World) -> None:
    await world.begin("/a", creator=await a_creator(world), sandbox_only=True)
    await later(world, minutes=10)
    gone = await a_creator(world, email="gone@example.com")
    await world.begin("/b", host=OTHER, creator=gone)
    assert len(await world.actions()) == 2
    await world.takedowns.do.manage_creators.delete(DeleteCreator(org_id=world.takedowns.org_id, creator_id=gone))
    await later(world, minutes=10)
    assert world.sink.mails == []


@pytest.mark.parametrize(
    ("answer", "status"), [("drop", "uncertain"), ("550 no", "refused"), ("451 later", "deferred"), ("", "sent")]
)
async def test_what_becomes_of_a_mail_is_kept_and_what_may_have_left_never_leaves_again(
    world: World, answer: str, status: str
) -> None:
    await world.begin("/a", creator=await a_creator(world))
    world.receive(an_answer(world, "I submit a counter notification under 17 U.S.C. 512(g)(3)."))
    await world.turn(minutes=1)
    world.sink.data = answer
    await later(world, minutes=6)
    assert await world.takedowns.db.fetchval("SELECT status FROM creator_mails") == status
    world.sink.data = ""
    await later(world, minutes=16)
    assert len(told(world)) == (1 if status in {"deferred", "sent"} else 0)


async def test_a_sender_that_vanished_leaves_a_mail_that_is_not_sent_again(world: World) -> None:
    await world.begin("/a", creator=await a_creator(world))
    world.receive(an_answer(world, "I submit a counter notification under 17 U.S.C. 512(g)(3)."))
    await world.turn(minutes=1)
    world.sink.rcpt = "451 later"
    await later(world, minutes=6)
    now = world.clock.now()
    assert await world.takedowns.on.creator_mails.claim(now=now + timedelta(hours=1), until=now) is not None
    world.sink.rcpt = ""
    await later(world, minutes=90)
    assert await world.takedowns.db.fetchval("SELECT status FROM creator_mails") == "uncertain"
    assert told(world) == []


async def test_what_was_written_goes_with_the_personal_data_of_a_deleted_creator(world: World) -> None:
    creator = await a_creator(world)
    await world.begin("/b", host=OTHER, creator=creator)
    await later(world, minutes=10)
    await world.takedowns.do.manage_creators.delete(DeleteCreator(org_id=world.takedowns.org_id, creator_id=creator))
    await world.takedowns.db.execute("UPDATE creators SET deleted_at = now() - interval '31 days'")
    await world.takedowns.do.purge_creators()
    row = await world.takedowns.db.fetchrow("SELECT to_addr, raw FROM creator_mails")
    assert row is not None
    assert (row["to_addr"], row["raw"]) == ("deleted", None)
