"""Is it gone? A real site that removes, keeps, says so in prose, leads away, and does worse; and what follows from each."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from libs.common.contracts.notices import (
    GetTakedown,
    GetTakedownSummary,
    ListTakedowns,
    RecheckTakedown,
    TakedownAnswer,
)
from libs.common.contracts.takedowns import UrlChanged
from services.takedowns.domain.host import Responsible
from services.takedowns.domain.notice_errors import NotPossible, TakedownNotFound
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, World, a_world

CONTENT = "<title>Luna Vale</title><p>" + " ".join(f"scene{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200))
SORRY = "<title>Leaks</title><p>" + " ".join(f"other{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(100))


@pytest.fixture
async def world(takedowns: Takedowns, database: TestDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(takedowns, database, tmp_path) as one:
        await one.entry()
        await one.keep_every_check()
        yield one


async def history(world: World, creator: Any) -> TakedownAnswer:
    asked = GetTakedown(org_id=world.takedowns.org_id, takedown_id=await world.url_id(creator))
    return await world.do.manage_takedowns.show(asked)


async def verdicts(world: World, creator: Any) -> list[str]:
    return [look.verdict for look in reversed((await history(world, creator)).looks)]


async def test_what_was_removed_is_proved_by_two_looks_an_hour_apart(world: World) -> None:
    world.site.pages["/a"] = CONTENT
    creator = await world.begin("/a")
    await world.turn(hours=7)
    assert await verdicts(world, creator) == ["alive"]
    world.site.pages["/a"] = (410, "gone")
    await world.turn(hours=20)
    assert await world.states(creator) == [("noticed", 0)], "one look never makes a removal"
    await world.turn(hours=1)
    assert await world.states(creator) == [("removed", 0)]
    found = await history(world, creator)
    assert found.takedown.removed_at == world.clock.now()
    assert [entry.state for entry in reversed(found.timeline)][-1] == "removed"
    assert [look.http for look in found.looks][:2] == [410, 410]
    changes = [change for message in world.said if isinstance(message, UrlChanged) for change in message.changes]
    assert (changes[-1].previous, changes[-1].state) == ("noticed", "removed")
    summary = await world.do.manage_takedowns.summary(GetTakedownSummary(org_id=world.takedowns.org_id))
    assert (summary.states, summary.removed_30_days, summary.total) == ({"removed": 1}, 1, 1)
    assert summary.median_removal_hours is not None
    assert 27 < summary.median_removal_hours < 30


async def test_what_stays_goes_up_stage_after_stage_and_ends_with_people(world: World) -> None:
    world.site.pages["/a"] = CONTENT
    world.registries.found_registrar = Responsible(name="R", abuse_email="abuse@registrar.example")
    world.registries.found_holder = Responsible(name="H", abuse_email="abuse@hosting.example")
    await world.entry(
        id="search",
        match=("search.example",),
        kind="search",
        takedown_method="form",
        form_url="https://search.example/f",
        dmca_email=None,
    )
    creator = await world.begin("/a")
    for _ in range(14 * 4):
        await world.turn(hours=6)
    assert [mail["To"] for mail in world.sink.messages()] == [
        f"dmca@{HOST}", "abuse@hosting.example", "abuse@registrar.example",
    ]  # fmt: skip
    assert await world.states(creator) == [("action_required", 3)]
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"]) == ("form", "https://search.example/f")
    assert action["text"].count("TD-") == 4, "its own number and those of the three before it"


async def test_prose_that_it_is_gone_is_believed_after_six_hours(world: World) -> None:
    world.site.pages["/video/a"] = CONTENT
    world.site.missing = SORRY
    creator = await world.begin("/video/a")
    await world.turn(hours=7)
    assert await verdicts(world, creator) == ["alive"]
    del world.site.pages["/video/a"]
    await world.turn(hours=20)
    await world.turn(hours=3)
    assert await world.states(creator) == [("noticed", 0)]
    await world.turn(hours=3)
    assert await world.states(creator) == [("removed", 0)]
    assert await verdicts(world, creator) == ["alive", "soft_gone", "soft_gone"]


async def test_a_page_sent_to_the_front_door_is_gone_one_sent_to_a_login_is_not(world: World) -> None:
    world.site.pages["/"] = "<title>Home</title><p>welcome"
    world.site.pages["/login"] = "<title>Login</title><p>sign in"
    world.site.pages["/a"] = lambda _: web.Response(status=302, headers={"Location": "/"})
    world.site.pages["/b"] = lambda _: web.Response(status=302, headers={"Location": "/login?next=/b"})
    creator = await world.begin("/a", "/b")
    await world.turn(hours=7)
    await world.turn(hours=7)
    states = [state for state, _ in await world.states(creator)]
    assert sorted(states) == ["noticed", "removed"]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_closed_door_is_never_a_removal(world: World, status: int) -> None:
    world.site.pages["/a"] = (status, "no")
    creator = await world.begin("/a")
    for _ in range(20):
        await world.turn(days=5)
    assert await world.states(creator) == [("noticed", 0)]
    assert set(await verdicts(world, creator)) == {"inconclusive"}


async def test_a_challenge_is_never_a_removal(world: World) -> None:
    world.site.pages["/a"] = "<title>Just a moment...</title>"
    creator = await world.begin("/a")
    for _ in range(5):
        await world.turn(days=2)
    assert set(await verdicts(world, creator)) == {"inconclusive"}
    assert await world.states(creator) == [("noticed", 0)]


async def test_a_name_that_is_gone_for_three_days_is_gone(world: World) -> None:
    world.site.pages["/a"] = CONTENT
    creator = await world.begin("/a")
    world.names.unknown.add(HOST)
    for _ in range(20):
        await world.turn(hours=6)
    assert await world.states(creator) == [("noticed", 0)]
    for _ in range(80):
        await world.turn(hours=6)
    assert await world.states(creator) == [("removed", 0)]
    assert set(await verdicts(world, creator)) == {"unresolved"}


async def test_a_site_that_leads_us_into_our_own_network_is_not_followed(world: World) -> None:
    world.site.pages["/a"] = lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/"})
    world.site.pages["/b"] = lambda _: web.Response(status=302, headers={"Location": "http://rebind.example/"})
    world.names.elsewhere["rebind.example"] = "10.0.0.1"
    bomb = gzip.compress(bytes(50 << 20), compresslevel=1)
    world.site.pages["/c"] = lambda _: web.Response(
        body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "text/html"}
    )
    creator = await world.begin("/a", "/b", "/c")
    await world.turn(hours=7)
    rows = await world.takedowns.db.fetch("SELECT verdict, err FROM checks ORDER BY err")
    assert [(row["verdict"], row["err"]) for row in rows][:2] == [("inconclusive", "FetchRefused")] * 2
    assert {state for state, _ in await world.states(creator)} == {"noticed"}


async def test_a_hosts_name_that_moved_into_our_network_is_not_gone_to(world: World) -> None:
    world.site.pages["/a"] = CONTENT
    creator = await world.begin("/a")
    world.names.elsewhere[HOST] = "127.0.0.2"
    await world.turn(hours=7)
    assert await verdicts(world, creator) == ["inconclusive"]
    assert world.site.asks == []


async def test_what_came_back_is_told_again_for_free_and_the_earlier_notice_cited(world: World) -> None:
    creator = await world.begin("/a")
    await world.turn(hours=7)
    await world.turn(hours=1)
    assert await world.states(creator) == [("removed", 0)]
    balance = await world.takedowns.balance()
    world.site.pages["/a"] = CONTENT
    await world.turn(days=2)
    assert await world.states(creator) == [("removed", 0)], "one look never brings it back"
    await world.turn(hours=2)
    await world.turn(minutes=20)
    assert await world.states(creator) == [("noticed", 0)]
    first, second = world.sink.messages()
    assert "Earlier notices" in second.get_content()
    assert second["References"] == first["Message-ID"]
    assert await world.takedowns.balance() == balance
    assert (await history(world, creator)).takedown.attempt == 1


async def test_looks_name_us_and_one_host_is_not_hammered(world: World) -> None:
    await world.begin(*(f"/{n}" for n in range(25)))
    await world.turn(hours=7)
    looks = [path for path in world.site.asks if len(path) < 5]
    assert set(world.site.agents) == {"fangate-test"}
    assert len(looks) == 25 or len(looks) % 10 == 0


async def test_a_recheck_looks_soon_but_not_twice_in_a_row(world: World) -> None:
    creator = await world.begin("/a")
    recheck = RecheckTakedown(org_id=world.takedowns.org_id, takedown_id=await world.url_id(creator))
    await world.do.manage_takedowns.recheck(recheck)
    await world.turn(seconds=1)
    assert await verdicts(world, creator) == ["gone"]
    await world.do.manage_takedowns.recheck(recheck)
    await world.turn(seconds=1)
    assert await verdicts(world, creator) == ["gone"]
    queued = await world.submit("/b")
    with pytest.raises(NotPossible):
        await world.do.manage_takedowns.recheck(
            RecheckTakedown(org_id=world.takedowns.org_id, takedown_id=await world.url_id(queued))
        )


async def test_what_is_anothers_is_not_there(world: World) -> None:
    from libs.common.ids import uuid7

    creator = await world.begin("/a")
    with pytest.raises(TakedownNotFound):
        await world.do.manage_takedowns.show(GetTakedown(org_id=uuid7(), takedown_id=await world.url_id(creator)))


async def test_lists_are_paged_and_filtered(world: World) -> None:
    creator = await world.begin(*(f"/{n}" for n in range(5)))
    asked: dict[str, Any] = {"org_id": world.takedowns.org_id, "creator_id": creator, "limit": 2}
    seen = []
    after = None
    for _ in range(4):
        page = await world.do.manage_takedowns.page(ListTakedowns(**asked, after=after))
        seen += [takedown.url for takedown in page.takedowns]
        after = page.next_after
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    noticed = await world.do.manage_takedowns.page(ListTakedowns(**asked | {"limit": 9}, state="noticed", host=HOST))
    assert len(noticed.takedowns) == 5
    assert (await world.do.manage_takedowns.page(ListTakedowns(**asked, state="removed"))).takedowns == ()
    assert (await world.do.manage_takedowns.page(ListTakedowns(**asked, host="other.com"))).takedowns == ()
