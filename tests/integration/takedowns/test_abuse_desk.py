"""Hosts behind Cloudflare: told by its interface where an operator allowed it, by a person else. The desk is a real server on a socket."""

import dataclasses
import ipaddress
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.contracts.notices import FileTakedown
from libs.common.contracts.takedowns import NoticeSent
from services.takedowns.domain.host import Address, Kind, Method, Responsible
from services.takedowns.gateways.cloudflare import CloudflareDesk
from tests.contract.takedowns.test_abuse_desk_port import REPORTER
from tests.support.cloudflare import ACCOUNT, TOKEN, FakeCloudflare, a_cloudflare
from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, World, a_world

FORM = "https://abuse.cloudflare.com"


class Behind:
    """Every host is behind Cloudflare."""

    async def addresses(self, host: str) -> Sequence[Address]:
        return [ipaddress.ip_address("104.16.0.1")]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCloudflare]:
    async with a_cloudflare() as one:
        yield one


@pytest.fixture
async def world(
    takedowns: Takedowns, database: TestDatabase, tmp_path: Path, fake: FakeCloudflare
) -> AsyncIterator[World]:
    desk = await CloudflareDesk.open(base_url=fake.url, account_id=ACCOUNT, token=TOKEN, reporter=REPORTER)
    async with a_world(takedowns, database, tmp_path, desks={"cloudflare": desk}) as one:
        names: Any = Behind()
        one.registries.found_holder = Responsible(name="Cloudflare", abuse_email="abuse@cloudflare.example")
        one.do = dataclasses.replace(one.do, resolve_host=dataclasses.replace(one.do.resolve_host, names=names))
        yield one
    await desk.close()


async def an_entry(world: World, **changes: Any) -> None:
    """Cloudflare's, verified by an operator."""
    usual = {
        "kind": Kind.CDN,
        "takedown_method": Method.FORM,
        "dmca_email": None,
        "form_url": FORM,
        "api": "cloudflare",
    }
    more = {"max_urls_per_notice": 250, "same_hostname_only": True}
    await world.entry(id="cloudflare", name="Cloudflare", match=("cloudflare.com",), **usual | more | changes)


async def test_a_host_behind_the_desk_is_reported_and_acknowledged_at_once(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    creator = await world.begin("/a", "/b")
    assert await world.states(creator) == [("acknowledged", 1)] * 2
    (report,) = fake.reports
    assert set(report["urls"].split("\n")) == {f"http://{HOST}:{world.site.port}/{name}" for name in "ab"}
    assert (report["agent_name"], report["name"]) == ("Luna Vale", "Rights Desk Ltd")
    assert "perjury" in report["comments"]
    assert "Maria" not in str(report)
    assert "@example.com" not in str(report), "a creator's address is nobody's business there"
    assert world.tokens.read(report["email"]) is not None, "what the desk mails comes back to its notice"
    (notice,) = await world.notices()
    assert (notice["channel"], notice["status"], notice["ticket"], notice["to_addr"]) == (
        "api",
        "acked",
        "rand-1",
        "api:cloudflare",
    )
    assert msgspec.json.decode(notice["raw"])["urls"] == report["urls"].split("\n"), "what was sent is what is stored"
    assert [said.channel for said in world.said if isinstance(said, NoticeSent)] == ["api"]
    assert world.sink.connections == 0


async def test_with_and_without_www_are_two_hostnames_to_the_desk(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    creator = await world.submit("/a")
    await world.submit("/b", host=f"www.{HOST}", creator=creator)
    for minutes in (1, 2, 6, 16):
        await world.turn(minutes=minutes)
    assert sorted(report["urls"] for report in fake.reports) == [
        f"http://{HOST}:{world.site.port}/a",
        f"http://www.{HOST}:{world.site.port}/b",
    ]


async def test_an_entry_that_nobody_verified_is_a_persons(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world, verified_at=None)
    creator = await world.begin("/a")
    assert await world.states(creator) == [("action_required", 1)]
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"], fake.asked) == ("form", FORM, 0)


async def test_complaints_about_consent_never_go_to_the_desk(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    await world.begin("/a", category="ncii")
    (action,) = await world.actions()
    assert (action["reason"], fake.asked) == ("ncii", 0)


async def test_a_sandboxs_report_never_leaves(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    await world.begin("/a", sandbox_only=True)
    (action,) = await world.actions()
    assert (action["reason"], fake.asked) == ("dry_run", 0)


@pytest.mark.parametrize("status", [401, 403, 400])
async def test_without_an_entitlement_a_person_fills_the_form_in(
    world: World, fake: FakeCloudflare, status: int
) -> None:
    await an_entry(world)
    fake.answers = [(status, "{}")]
    creator = await world.begin("/a")
    assert await world.states(creator) == [("action_required", 1)]
    (action,) = await world.actions()
    assert (action["reason"], action["form_url"], fake.asked) == ("form", FORM, 1)
    assert "penalty of perjury" in action["text"]
    id_ = await world.url_id(creator)
    await world.do.manage_takedowns.file(FileTakedown(org_id=world.takedowns.org_id, takedown_id=id_, by="person"))
    assert await world.states(creator) == [("noticed", 1)]


async def test_a_desk_that_wants_it_later_gets_it_later_once(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    fake.answers = [(429, "{}")]
    creator = await world.begin("/a")
    assert (await world.states(creator), fake.asked) == ([("ready", 1)], 1)
    await world.turn(minutes=14)
    assert fake.asked == 1
    await world.turn(minutes=2)
    assert (await world.states(creator), len(fake.reports)) == ([("acknowledged", 1)], 1)


async def test_a_report_that_may_have_arrived_is_never_sent_again(world: World, fake: FakeCloudflare) -> None:
    await an_entry(world)
    fake.answers = [(0, None)]
    creator = await world.begin("/a")
    assert await world.states(creator) == [("action_required", 1)]
    (action,) = await world.actions()
    assert action["reason"] == "review"
    await world.turn(hours=7)
    assert (fake.asked, fake.reports) == (1, [])
