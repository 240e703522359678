"""What comes back by mail, from a real Maildir, and what it changes; and what nobody may make it change."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.notices import GetNotice, ListActions
from libs.common.contracts.takedowns import NoticeBounced, NoticeCountered
from services.takedowns.domain.host import Responsible
from tests.support.mails import a_bounce, a_mail
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, MAILBOX, World, a_world


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        await one.entry()
        one.registries.found_holder = Responsible(abuse_email="abuse@hosting.example")
        one.site.missing = "<title>x</title><p>alive and well"
        yield one


async def kinds(world: World) -> list[tuple[str, bool]]:
    rows = await world.takedowns.db.fetch("SELECT kind, notice_id IS NOT NULL AS is_known FROM inbound ORDER BY at, id")
    return [(row["kind"], row["is_known"]) for row in rows]


async def status(world: World) -> str:
    found: str = (await world.notices())[0]["status"]
    return found


async def test_a_bounce_asks_the_next_stage_and_the_first_notice_never_was(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_bounce(to=world.sender_of()))
    await world.turn(minutes=16)
    assert await status(world) == "bounced"
    assert [mail["To"] for mail in world.sink.messages()] == [MAILBOX, "abuse@hosting.example"]
    assert await world.states(creator) == [("noticed", 1)]
    (event,) = [message for message in world.said if isinstance(message, NoticeBounced)]
    assert (event.reason, event.url_count) == ("5.1.1", 1)
    assert list((world.maildir / "new").iterdir()) == []


async def test_a_bounce_told_twice_counts_once(world: World) -> None:
    await world.begin("/a")
    for _ in range(2):
        world.receive(a_bounce(to=world.sender_of(0)))
        await world.turn(minutes=1)
    row = await world.takedowns.db.fetchrow("SELECT * FROM contacts WHERE address = $1", MAILBOX)
    assert row is not None
    assert (row["hard_bounces"], row["bad_at"]) == (1, None)


async def test_a_delay_is_no_bounce(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_bounce(to=world.sender_of(), status="4.4.1", action="delayed"))
    await world.turn(minutes=1)
    assert (await status(world), await world.states(creator)) == ("sent", [("noticed", 0)])


async def test_forged_tokens_change_nothing(world: World) -> None:
    creator = await world.begin("/a")
    sender = world.sender_of()
    local, _, domain = sender.partition("@")
    for forged in (
        f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}",
        f"b+{'0' * 32}.aaaaaaaaaa@{domain}",
        "abuse@bounce.example",
    ):
        world.receive(a_bounce(to=forged))
        world.receive(a_mail("counter notification under 512(g)", to=forged))
    await world.turn(minutes=1)
    assert (await status(world), await world.states(creator)) == ("sent", [("noticed", 0)])
    assert {is_known for _, is_known in await kinds(world)} == {False}
    assert {kind for kind, _ in await kinds(world)} == {"bounce", "other"}
    assert await world.actions() == []


async def test_an_acknowledgement_keeps_the_clock_running(world: World) -> None:
    creator = await world.begin("/a")
    due = await world.takedowns.db.fetchval("SELECT next_action_at FROM urls")
    world.receive(
        a_mail("Thank you for your report. Ticket: ABC-12345", to=world.reply_to(), Auto_Submitted="auto-replied")
    )
    await world.turn(minutes=1)
    assert await world.states(creator) == [("acknowledged", 0)]
    (notice,) = await world.notices()
    assert (notice["status"], notice["ticket"]) == ("acked", "ABC-12345")
    assert await world.takedowns.db.fetchval("SELECT next_action_at FROM urls") == due


async def test_automatic_answers_go_to_the_envelope_and_count_there_too(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_mail("We have received your complaint.", to=world.sender_of()))
    await world.turn(minutes=1)
    assert await world.states(creator) == [("acknowledged", 0)]


async def test_a_claim_of_removal_is_looked_at_and_not_believed(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_mail("The content has been removed.", to=world.reply_to()))
    await world.turn(minutes=1)
    await world.turn(minutes=1)
    assert await world.states(creator) == [("noticed", 0)]
    assert await world.takedowns.count("checks") == 1


async def test_a_host_that_takes_its_form_only_is_a_persons_work_and_remembered(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_mail(f"Please use our form at https://{HOST}/dmca-form only.", to=world.reply_to()))
    await world.turn(minutes=1)
    assert await world.states(creator) == [("action_required", 0)]
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"]) == ("form", f"https://{HOST}/dmca-form")
    row = await world.takedowns.db.fetchrow("SELECT * FROM directory WHERE source = 'learned'")
    assert row is not None
    assert (row["form_url"], row["verified_at"]) == (f"https://{HOST}/dmca-form", None)
    await world.turn(days=1)
    assert len(world.sink.mails) == 1


async def test_a_counter_notice_freezes_everything(world: World) -> None:
    creator = await world.begin("/a", "/b")
    world.receive(a_mail("I submit a counter notification under 17 U.S.C. 512(g)(3).", to=world.reply_to()))
    await world.turn(minutes=1)
    assert await world.states(creator) == [("counter_noticed", 0)] * 2
    assert await world.takedowns.db.fetchval("SELECT count(*) FROM urls WHERE next_action_at IS NOT NULL") == 0
    (event,) = [message for message in world.said if isinstance(message, NoticeCountered)]
    assert event.url_count == 2
    assert [action["reason"] for action in await world.actions()] == ["counter_notice"]
    asks = len(world.site.asks)
    for _ in range(30):
        await world.turn(days=1)
    assert (len(world.sink.mails), len(world.site.asks)) == (1, asks), "no mail, no look, no answer"
    assert await world.states(creator) == [("counter_noticed", 0)] * 2


async def test_a_refusal_waits_for_a_person(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_mail("We are unable to process your request, it is not hosted by us.", to=world.reply_to()))
    await world.turn(minutes=1)
    assert (await world.states(creator), await status(world)) == ([("rejected", 0)], "rejected")
    await world.turn(days=10)
    assert len(world.sink.mails) == 1


async def test_a_question_is_a_persons_and_the_clock_runs(world: World) -> None:
    creator = await world.begin("/a")
    world.receive(a_mail("Please provide additional information: proof of ownership.", to=world.reply_to()))
    await world.turn(minutes=1)
    assert await world.states(creator) == [("noticed", 0)]
    page = await world.do.manage_takedowns.actions(ListActions(org_id=world.takedowns.org_id))
    assert [(action.reason, action.url_count) for action in page.actions] == [("need_info", 1)]
    notice = await world.do.manage_takedowns.notice(
        GetNotice(org_id=world.takedowns.org_id, notice_id=(await world.notices())[0]["id"])
    )
    assert [(answer.kind, "proof of ownership" in answer.text) for answer in notice.answers] == [("need_info", True)]
    assert notice.text is not None
    assert "/s/ Rights Desk Ltd" in notice.text


@pytest.mark.parametrize("raw", [b"", b"\x00\xff" * 1000, b"Subject: x\x00y\n\n\x00", b"To: \x00@x\n\nhi"])
async def test_a_broken_mail_is_kept_for_a_person_and_others_are_read(world: World, raw: bytes) -> None:
    creator = await world.begin("/a")
    world.receive(raw)
    world.receive(a_mail("We have received your complaint.", to=world.reply_to()))
    await world.turn(minutes=1)
    assert await world.states(creator) == [("acknowledged", 0)]
    assert sorted(kind for kind, _ in await kinds(world)) == ["ack", "other"]


async def test_a_mail_read_twice_has_one_effect(world: World) -> None:
    await world.begin("/a")
    mail: Any = a_mail("Please provide additional information: proof.", to=world.reply_to())
    world.receive(mail)
    await world.turn(minutes=1)
    world.receive(mail)
    await world.turn(minutes=1)
    assert len(await world.actions()) == 1
