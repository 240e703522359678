"""Notices on real servers: what is mailed, what never is, and what becomes of each."""

import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.contracts.creators import CreatorInput, OfficialLink, SubmitCreators
from libs.common.contracts.notices import FileTakedown
from libs.common.contracts.takedowns import ActionRequired, NoticeBounced, NoticeSent, UrlChanged
from services.takedowns.domain.follow_up import MAILBOX_PER_HOUR
from services.takedowns.domain.host import Method, Responsible, Source
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.domain.notice_mail import Envelope
from tests.support.mails import a_mail
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, MAILBOX, World, a_world


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        yield one


@pytest.fixture
async def dry(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path, is_dry=True) as one:
        yield one


def said(world: World, kind: type[Any]) -> list[Any]:
    return [message for message in world.said if isinstance(message, kind)]


async def test_R103_a_batch_becomes_one_mail_to_a_verified_mailbox_without_a_further_call(world: World) -> None:
    await world.entry()
    creator = await world.submit("/a", "/b?x=1", "/c")
    await world.turn(seconds=1)
    assert await world.states(creator) == [("resolving", 0)] * 3
    await world.turn(minutes=2)
    assert await world.states(creator) == [("ready", 0)] * 3
    assert world.sink.mails == [], "others may still come to travel with them"
    await world.turn(minutes=6)
    (mail,) = world.sink.messages()
    assert mail["To"] == MAILBOX
    assert "Luna Vale" in mail.get_content()
    for path in ("/a", "/b?x=1", "/c"):
        assert f"http://{HOST}:{world.site.port}{path}" in mail.get_content().splitlines()
    assert await world.states(creator) == [("noticed", 0)] * 3
    (notice,) = await world.notices()
    assert (notice["status"], notice["to_addr"], notice["tries"]) == ("sent", MAILBOX, 1)
    assert notice["raw"].replace(b"\r\n", b"\n").strip() == world.sink.mails[0][2].replace(b"\r\n", b"\n").strip()
    (sent,) = said(world, NoticeSent)
    assert (sent.host, sent.stage, sent.url_count, sent.channel) == (HOST, "site", 3, "email")
    moves = [(change.previous, change.state) for message in said(world, UrlChanged) for change in message.changes]
    assert moves.count(("ready", "noticed")) == 3


async def test_R177_no_mail_and_no_message_names_a_creators_notes_nor_a_batchs(world: World) -> None:
    await world.entry()
    said_ = CreatorInput(
        stage_name="Luna", email="private@home-of-luna.com", official_links=(OfficialLink("onlyfans", "luna"),),
        legal_name="Maria Secret", notification_email="also-private@home-of-luna.com", notes="known under SECRETNOTE",
    )  # fmt: skip
    await world.takedowns.do.register_creators(SubmitCreators(org_id=world.takedowns.org_id, creators=(said_,)))
    creator = await world.takedowns.db.fetchval("SELECT public_id FROM creators WHERE stage_name = 'Luna'")
    await world.begin("/a", creator=creator, notes="SECRETBATCH")
    raw = world.sink.mails[0][2].decode()
    world.receive(a_mail("I submit a counter notification under 17 U.S.C. 512(g)(3).", to=world.reply_to()))
    await world.turn(minutes=1)
    world.clock.advance(minutes=10)
    await world.do.tell_creators()
    assert len(world.sink.mails) == 2, "to the host, and to the creator's people"
    told = [msgspec.json.encode(message).decode() for message in world.said]
    assert len(told) > 4
    for secret in ("Maria", "SECRETNOTE", "SECRETBATCH"):
        assert not [each for each in (*told, *(mail[2].decode() for mail in world.sink.mails)) if secret in each]
    assert "home-of-luna" not in raw
    assert not [each for each in told if "home-of-luna" in each]


async def test_more_urls_than_a_mail_takes_become_more_mails_a_quarter_of_an_hour_apart(world: World) -> None:
    await world.entry()
    creator = await world.begin(*(f"/{n}" for n in range(201)))
    assert len(world.sink.mails) == 1
    await world.turn(minutes=15)
    assert len(world.sink.mails) == 2
    await world.turn(minutes=15)
    assert len(world.sink.mails) == 3
    assert {state for state, _ in await world.states(creator)} == {"noticed"}
    counts = sorted(mail.get_content().count(f"http://{HOST}") for mail in world.sink.messages())
    assert counts == [1, 100, 100]


@pytest.mark.parametrize("source", [Source.SHIPPED, Source.LEARNED])
async def test_an_unverified_contact_is_never_mailed(world: World, source: Source) -> None:
    await world.entry(source=source, verified_at=None)
    creator = await world.begin("/a")
    assert (world.sink.connections, world.sink.mails) == (0, [])
    assert await world.states(creator) == [("action_required", 0)]
    (action,) = await world.actions()
    assert action["reason"] == "unverified"
    assert f"http://{HOST}:{world.site.port}/a" in action["text"]
    assert "/s/ Rights Desk Ltd" in action["text"]
    (event,) = said(world, ActionRequired)
    assert (event.host, event.reason, event.url_count) == (HOST, "unverified", 1)


async def test_a_mailbox_that_lost_its_word_before_the_mail_left_is_not_mailed(world: World) -> None:
    await world.entry()
    world.sink.rcpt = "452 later"
    await world.begin("/a")
    await world.takedowns.db.execute("UPDATE contacts SET verified_at = NULL")
    world.sink.rcpt = ""
    await world.turn(hours=1)
    assert world.sink.mails == []
    assert [action["reason"] for action in await world.actions()] == ["unverified"]


async def test_a_guess_is_nobody_to_write_to_and_after_a_day_the_credit_returns(world: World) -> None:
    creator = await world.begin("/a")
    assert await world.states(creator) == [("resolving", 0)]
    for _ in range(30):
        await world.turn(hours=1)
    assert await world.states(creator) == [("failed_refunded", 0)]
    assert (world.sink.mails, await world.actions()) == ([], [])
    assert world.registries.asked >= 3


async def test_a_site_nobody_knows_is_told_through_its_host(world: World) -> None:
    world.registries.found_holder = Responsible(name="Host B.V.", abuse_email="abuse@hosting.example")
    await world.begin("/a")
    (mail,) = world.sink.messages()
    assert mail["To"] == "abuse@hosting.example"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["xarf-1.json"]
    (notice,) = await world.notices()
    assert notice["stage"] == 1


async def test_what_a_registry_said_over_a_week_ago_is_not_mailed(world: World) -> None:
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    world.sink.rcpt = "452 later"
    await world.begin("/a")
    await world.takedowns.db.execute("UPDATE contacts SET verified_at = verified_at - interval '8 days'")
    world.sink.rcpt = ""
    await world.turn(hours=1)
    assert world.sink.mails == []


async def test_registries_are_asked_again_before_their_old_word_is_used_however_long_that_takes(world: World) -> None:
    # given a host whose registries spoke a month ago, and URLs that are ready
    world.registries.found_holder = Responsible(abuse_email="abuse@old-hosting.example")
    creator = await world.submit("/a")
    await world.turn(seconds=1)
    await world.turn(minutes=2)
    await world.takedowns.db.execute("UPDATE hosts SET resolved_at = resolved_at - interval '30 days'")

    # when nobody has the time to ask them for minutes
    for minutes in (6, 2, 2):
        world.clock.advance(minutes=minutes)
        await world.do.plan_notices()

    # then nothing is planned; asked at last, they name another
    assert await world.notices() == []
    assert await world.states(creator) == [("ready", 0)]
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    await world.turn(minutes=2)
    await world.turn(minutes=2)
    assert [mail["To"] for mail in world.sink.messages()] == ["abuse@hosting.example"]


async def test_a_host_that_was_known_for_weeks_is_searched_for_a_day_like_a_new_one(world: World) -> None:
    # given a host that was found again and again
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    for n in range(3):
        world.clock.advance(hours=8 * 24)
        await world.submit(f"/{n}")
        await world.turn(seconds=1)
        await world.turn(minutes=2)

    # when registries have trouble while its word is out of date
    world.clock.advance(hours=8 * 24)
    world.registries.trouble = RegistryTrouble("asleep", seconds=3_600)
    creator = await world.submit("/new")
    await world.turn(seconds=1)
    for hours in (1, 6, 12):
        await world.turn(hours=hours)
        assert await world.states(creator) == [("resolving", 0)]

    # then nobody has given up when they are well again
    world.registries.trouble = None
    for _ in range(3):
        await world.turn(hours=1)
    assert [state for state, _ in await world.states(creator)] == ["noticed"]


async def test_dry_run_opens_no_socket_and_leaves_all_to_people(dry: World) -> None:
    await dry.entry()
    creator = await dry.begin("/a", "/b")
    assert dry.sink.connections == 0
    assert await dry.states(creator) == [("action_required", 0)] * 2
    (notice,) = await dry.notices()
    assert notice["status"] == "rendered"
    assert [path.suffix for path in dry.dry.iterdir()] == [".eml"]
    (path,) = dry.dry.iterdir()
    assert path.read_bytes() == notice["raw"]
    (action,) = await dry.actions()
    assert action["reason"] == "dry_run"


async def test_a_sandbox_batch_never_mails_in_any_mode(world: World) -> None:
    await world.entry()
    creator = await world.begin("/a", sandbox_only=True)
    assert world.sink.connections == 0
    assert await world.states(creator) == [("action_required", 0)]
    assert [action["reason"] for action in await world.actions()] == ["dry_run"]


async def test_a_form_is_filled_in_by_a_person_and_filing_it_starts_the_clock(world: World) -> None:
    await world.entry(takedown_method=Method.FORM, form_url="https://leaks.example/dmca")
    creator = await world.begin("/a", "/b")
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"]) == ("form", "https://leaks.example/dmca")
    filed = FileTakedown(
        org_id=world.takedowns.org_id, takedown_id=await world.url_id(creator), by="key 1", reference="T-1"
    )
    changed = await world.do.manage_takedowns.file(filed)
    assert changed.takedown.state == "noticed"
    assert changed.takedown.first_notice_at is not None
    assert await world.states(creator) == [("noticed", 0)] * 2, "the action was about both"
    assert await world.actions() == []
    (notice,) = await world.notices()
    assert (notice["status"], notice["ticket"], notice["channel"]) == ("sent", "T-1", "form")


async def test_a_temporary_refusal_is_tried_again_later_and_later(world: World) -> None:
    await world.entry()
    world.sink.rcpt = "452 try later"
    creator = await world.begin("/a")
    assert [(notice["status"], notice["last_code"]) for notice in await world.notices()] == [("deferred", 452)]
    for _ in range(46):
        await world.turn(hours=1)
    (notice,) = await world.notices()
    assert 5 <= notice["tries"] <= 8
    assert await world.states(creator) == [("ready", 0)]
    world.sink.rcpt = ""
    await world.turn(hours=2.1)
    assert await world.states(creator) == [("noticed", 0)]


async def test_after_two_days_of_temporary_refusals_the_host_is_asked(world: World) -> None:
    await world.entry()
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    world.sink.rcpt = "452 try later"
    creator = await world.begin("/a")
    for _ in range(60):
        await world.turn(hours=1)
    notices = await world.notices()
    assert (notices[0]["status"], notices[0]["stage"]) == ("bounced", 0)
    assert (notices[1]["to_addr"], notices[1]["stage"]) == ("abuse@hosting.example", 1)
    assert await world.states(creator) == [("ready", 1)]


async def test_a_refusal_asks_the_next_stage_at_once_and_two_make_the_address_bad(world: World) -> None:
    await world.entry()
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    world.sink.refused[MAILBOX] = "550 no such user"
    creator = await world.begin("/a")
    await world.turn(minutes=16)
    assert [mail["To"] for mail in world.sink.messages()] == ["abuse@hosting.example"]
    assert await world.states(creator) == [("noticed", 1)]
    assert said(world, NoticeBounced)[0].stage == "site"
    await world.begin("/b")
    bad = await world.takedowns.db.fetchval("SELECT bad_at IS NOT NULL FROM contacts WHERE address = $1", MAILBOX)
    assert bad
    world.sink.refused.clear()
    await world.begin("/c")
    assert MAILBOX not in {mail["To"] for mail in world.sink.messages()}


async def test_where_every_stage_refuses_at_once_the_credit_returns(world: World) -> None:
    await world.entry()
    world.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
    world.sink.rcpt = "550 no such user"
    before = await world.takedowns.balance()
    creator = await world.begin("/a")
    await world.turn(minutes=16)
    await world.turn(minutes=16)
    assert [state for state, _ in await world.states(creator)] == ["failed_refunded"]
    await world.takedowns.db.execute("UPDATE batch_refunds SET opened_at = opened_at - interval '1 minute'")
    await world.takedowns.do.send_refunds()
    assert await world.takedowns.balance() == before


async def test_a_mail_of_which_nobody_knows_whether_it_arrived_goes_to_a_person_and_never_out_again(
    world: World,
) -> None:
    await world.entry()
    world.site.missing = "<title>x</title><p>alive and well"
    world.sink.data = "drop"
    creator = await world.begin("/a")
    world.sink.data = ""
    for _ in range(10):
        await world.turn(hours=1)
    assert world.sink.mails == []
    (notice,) = await world.notices()
    assert notice["status"] == "review"
    assert await world.states(creator) == [("action_required", 0)]
    assert [action["reason"] for action in await world.actions()] == ["review"]


async def test_a_sender_that_vanished_leaves_a_notice_for_a_person(world: World) -> None:
    await world.entry()
    relay = world.do.send_notice.relay
    assert relay is not None

    class Killed(BaseException):
        pass

    class Dies:
        async def send(self, _: object) -> str:
            raise Killed

    object.__setattr__(world.do.send_notice, "relay", Dies())
    with pytest.raises(Killed):
        await world.begin("/a")
    object.__setattr__(world.do.send_notice, "relay", relay)
    assert [notice["status"] for notice in await world.notices()] == ["sending"]
    await world.turn(minutes=1)
    assert await world.do.send_notice.recover() == 0, "it may still be under way"
    await world.turn(minutes=10)
    assert await world.do.send_notice.recover() == 1
    assert [notice["status"] for notice in await world.notices()] == ["review"]
    await world.turn(hours=5)
    assert world.sink.mails == []


async def test_the_same_job_twice_sends_one_mail(world: World) -> None:
    await world.entry()
    await world.begin("/a")
    (notice,) = await world.notices()
    for _ in range(3):
        await world.do.send_notice(notice["id"])
    await world.do.send_notice(uuid.uuid4())
    assert len(world.sink.mails) == 1


async def test_what_was_cancelled_before_its_mail_left_is_not_in_it(world: World) -> None:
    from libs.common.contracts.notices import CancelTakedown

    await world.entry()
    world.sink.rcpt = "452 later"
    creator = await world.begin("/a", "/b")
    world.sink.rcpt = ""
    cancel = CancelTakedown(org_id=world.takedowns.org_id, takedown_id=await world.url_id(creator))
    assert (await world.do.manage_takedowns.cancel(cancel)).takedown.state == "cancelled"
    await world.turn(hours=1)
    (mail,) = world.sink.messages()
    assert mail.get_content().count(f"http://{HOST}") == 1
    assert sorted(await world.states(creator)) == [("cancelled", 0), ("noticed", 0)]
    assert await world.takedowns.count("notice_urls") == 1


async def test_a_mailbox_takes_so_many_an_hour(world: World) -> None:
    await world.entry()
    for _ in range(MAILBOX_PER_HOUR + 3):
        await world.submit("/a", creator=await world.takedowns.creator())
    await world.turn()
    for _ in range(12):
        await world.turn(minutes=2)
    assert len(world.sink.mails) == MAILBOX_PER_HOUR
    await world.turn(minutes=50)
    assert len(world.sink.mails) == MAILBOX_PER_HOUR + 3


async def test_a_young_sending_domain_begins_with_few(world: World) -> None:
    await world.entry()
    await world.takedowns.db.execute(
        "INSERT INTO mail_days (domain, day, sent) VALUES ('rights.example', $1, 49)", world.clock.now().date()
    )
    await world.submit("/a", creator=await world.takedowns.creator("One"))
    await world.begin("/b", creator=await world.takedowns.creator("Two"))
    assert len(world.sink.mails) == 1
    await world.turn(hours=25)
    await world.turn(hours=2)
    assert len(world.sink.mails) == 2


@pytest.mark.parametrize("evil", ["Eve\r\nBcc: victim@e.com", "Eve\nX-Evil: 1", "Eve\u2028Bcc: v@e.com"])
async def test_a_stage_name_writes_no_header(world: World, evil: str) -> None:
    await world.entry()
    creator = await world.takedowns.creator("Eve")
    await world.takedowns.db.execute("UPDATE creators SET stage_name = $1 WHERE public_id = $2", evil, creator)
    await world.begin("/a", creator=creator)
    (mail,) = world.sink.messages()
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None
    assert [recipient for _, recipient, _ in world.sink.mails] == [MAILBOX]


async def test_a_defect_that_some_urls_meet_stops_no_others_and_their_credits_return_once(dry: World) -> None:
    @dataclass
    class Breaking:
        """A folder that breaks on one creator's mails."""

        async def keep(self, name: str, envelope: Envelope) -> None:
            if b"Poison" in envelope.raw:
                raise ZeroDivisionError

    dry.do = dataclasses.replace(dry.do, plan_notices=dataclasses.replace(dry.do.plan_notices, folder=Breaking()))
    await dry.entry()
    bad = await dry.takedowns.creator("Poison")
    await dry.begin("/a", creator=bad)
    good = await dry.begin("/b")
    assert await dry.states(good) == [("action_required", 0)]
    for _ in range(3):
        assert await dry.takedowns.balance() == 100_000 - 2
        await dry.turn(minutes=6)
    assert await dry.states(bad) == [("failed_refunded", 0)]
    for _ in range(3):
        await dry.turn(minutes=6)
        await dry.takedowns.on.refunds.send(older_s=0, limit=10)
    assert await dry.takedowns.balance() == 100_000 - 1
    await dry.submit("/a", creator=bad)
    assert await dry.takedowns.balance() == 100_000 - 2, "new again"


async def test_complaints_about_consent_are_always_a_persons(world: World) -> None:
    await world.entry(ncii_form_url="https://leaks.example/ncii")
    creator = await world.submit("/a", category="ncii")
    for minutes in (1, 2, 6):
        await world.turn(minutes=minutes)
    assert world.sink.connections == 0
    assert await world.states(creator) == [("action_required", 0)]
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"]) == ("ncii", "https://leaks.example/ncii")
    assert "TAKE IT DOWN" in action["text"]
