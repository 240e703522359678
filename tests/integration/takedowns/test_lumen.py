"""Copies of notices for the public: for organizations that chose so only, without anybody's data. Lumen is a real server on a socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local import ports
from libs.common.contracts.notices import GetTakedownSettings, UpdateTakedownSettings
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused
from services.takedowns.domain.public_copy import PublicCopy
from services.takedowns.gateways.lumen import Lumen
from tests.support.lumen import TOKEN, FakeLumen, a_lumen
from tests.support.servers import TestDatabase
from tests.support.takedown_notices import AGENT
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, World, a_world

COPY = PublicCopy(
    title="t", sender="s", recipient="r", work="w", urls=("https://leaks.example/a",), language="en", sent_on="2026-11-20"
)  # fmt: skip


@pytest.fixture
async def fake() -> AsyncIterator[FakeLumen]:
    async with a_lumen() as one:
        yield one


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path, fake: FakeLumen) -> AsyncIterator[World]:
    lumen = await Lumen.open(base_url=fake.url, token=TOKEN)
    async with a_world(takedowns, database, tmp_path, record=lumen) as one:
        await one.entry()
        yield one
    await lumen.close()


async def choose(world: World, *, lumen: bool) -> None:
    asked = UpdateTakedownSettings(org_id=world.takedowns.org_id, lumen=lumen, by="person")
    assert (await world.do.choose_sharing.update(asked)).lumen is lumen
    asked_again = GetTakedownSettings(org_id=world.takedowns.org_id)
    assert (await world.do.choose_sharing.show(asked_again)).lumen is lumen


async def share(world: World, **later: float) -> list[str]:
    """One turn; the states of all copies."""
    world.clock.advance(**later)
    assert world.do.share_notices is not None
    await world.do.share_notices()
    rows = await world.takedowns.db.fetch("SELECT status FROM lumen_copies ORDER BY notice_id")
    return [row["status"] for row in rows]


async def test_nothing_is_shared_unless_it_was_chosen(world: World, fake: FakeLumen) -> None:
    assert not (await world.do.choose_sharing.show(GetTakedownSettings(org_id=world.takedowns.org_id))).lumen
    await world.begin("/a")
    assert await share(world) == []
    await choose(world, lumen=True)
    assert await share(world, hours=1) == [], "what was sent before stays between us"
    assert (len(world.sink.mails), fake.asked) == (1, 0)


async def test_a_sent_notice_is_published_once_without_anybodys_data(world: World, fake: FakeLumen) -> None:
    await choose(world, lumen=True)
    await world.takedowns.db.execute("UPDATE creators SET legal_name = 'Maria Secret'")
    await world.begin("/a", "/b", notes="internal")
    for _ in range(3):
        assert await share(world, hours=1) == ["sent"]
    (said,) = fake.notices
    (work,) = said["works_attributes"]
    urls = {each["url"] for each in work["infringing_urls_attributes"]}
    assert urls == {f"http://{HOST}:{world.site.port}/{name}" for name in "ab"}
    roles = {role["name"]: role["entity_attributes"] for role in said["entity_notice_roles_attributes"]}
    assert roles == {
        "sender": {"name": AGENT.name, "kind": "organization"}, "recipient": {"name": HOST, "kind": "organization"},
    }  # fmt: skip
    text = json.dumps(said)
    for secret in ("Secret", "@", AGENT.phone, AGENT.address, "internal"):
        assert secret not in text
    assert "Luna Vale" in work["description"]


@pytest.mark.parametrize("options", [{"category": "ncii"}, {"sandbox_only": True}])
async def test_what_is_not_sent_by_us_is_not_shared(world: World, fake: FakeLumen, options: dict[str, object]) -> None:
    await choose(world, lumen=True)
    await world.begin("/a", **options)
    assert await share(world, hours=1) == []
    assert fake.asked == 0


async def test_a_choice_taken_back_withdraws_what_was_not_published_yet(world: World, fake: FakeLumen) -> None:
    await choose(world, lumen=True)
    await world.begin("/a")
    await choose(world, lumen=False)
    assert await share(world, hours=1) == ["withdrawn"]
    await choose(world, lumen=True)
    assert await share(world, hours=1) == ["withdrawn"]
    assert fake.asked == 0


async def test_later_is_later_and_in_the_end_never(world: World, fake: FakeLumen) -> None:
    await choose(world, lumen=True)
    await world.begin("/a")
    fake.answers = [429, 503]
    assert await share(world) == ["deferred"]
    assert await share(world, minutes=59) == ["deferred"]
    assert fake.asked == 1
    assert await share(world, minutes=2) == ["deferred"]
    assert await share(world, hours=5) == ["sent"]
    assert (fake.asked, len(fake.notices)) == (3, 1)


@pytest.mark.parametrize(
    ("status", "became"), [(401, "refused"), (422, "refused"), (500, "uncertain"), (0, "uncertain")]
)
async def test_what_is_refused_or_may_be_there_is_never_published_again(
    world: World, fake: FakeLumen, status: int, became: str
) -> None:
    await choose(world, lumen=True)
    await world.begin("/a")
    fake.answers = [status]
    for _ in range(3):
        assert await share(world, days=2) == [became]
    assert fake.asked == 1


async def test_a_copy_whose_sender_vanished_is_uncertain(world: World, fake: FakeLumen) -> None:
    await choose(world, lumen=True)
    await world.begin("/a")
    now = world.clock.now()
    async with world.takedowns.on.shared_notices.transaction() as tx:
        assert await tx.claim(now=now, until=now) is not None
    assert await share(world, minutes=1) == ["uncertain"]
    assert fake.asked == 0


async def test_an_address_that_is_not_there_or_a_wrong_token_publish_nothing_and_show_no_token(fake: FakeLumen) -> None:
    (port,) = ports.pick(1)
    for url, error in ((f"http://127.0.0.1:{port}", MailDeferred), (fake.url, MailRefused)):
        lumen = await Lumen.open(base_url=url, token="wrong-secret-word")
        with pytest.raises(error) as refused:
            await lumen.publish(COPY)
        await lumen.close()
        assert "secret-word" not in f"{refused.value!r}"
    with pytest.raises(ValueError) as wrong:
        await Lumen.open(base_url="http://lumendatabase.org", token="secret-word")
    assert "secret-word" not in str(wrong.value)
    assert fake.notices == []
