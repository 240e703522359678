"""The RDAP client against a real server that is polite, terse, busy, wrong or enormous."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from libs.common.http.guarded import GuardedClient
from services.takedowns.domain.host import Responsible
from services.takedowns.gateways.rdap import ANSWER_BYTES_MAX, ASKS_PER_MINUTE, Rdap, RdapBusy, RdapFailed
from services.takedowns.gateways.rdap_bootstrap import Bootstrap
from tests.support.clock import FakeClock
from tests.support.rdap import card, domain_answer, entity, network_answer
from tests.support.site import Site, a_site

WHOLE = domain_answer(
    entity("registrar", card("Example Registrar"), entity("abuse", card("", "abuse@registrar.example")))
)
FOUND = Responsible(name="Example Registrar", abuse_email="abuse@registrar.example")


@dataclass
class World:
    site: Site
    rdap: Rdap
    clock: FakeClock
    bootstrap: Bootstrap
    http: GuardedClient


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = FakeClock()
    async with a_site() as site:
        http = await GuardedClient.open(user_agent="fangate-test", allowed=[site.address])
        bootstrap = Bootstrap.shipped(clock)
        bootstrap.base = f"{site.url}/"
        bootstrap.domains["com"] = f"{site.url}/"
        bootstrap.networks["ipv4"].append((ipaddress.ip_network("203.0.113.0/24"), f"{site.url}/"))
        yield World(site, Rdap(http, bootstrap, clock), clock, bootstrap, http)
        await http.close()


def put(world: World, path: str, answer: Any, status: int = 200) -> None:
    world.site.pages[path] = (status, answer if isinstance(answer, str) else json.dumps(answer))


async def test_a_domain_is_asked_for_once_and_remembered_for_days(world: World) -> None:
    put(world, "/domain/example.com", WHOLE)
    assert await world.rdap.registrar("example.com") == FOUND
    world.clock.advance(days=6, hours=23)
    assert await world.rdap.registrar("example.com") == FOUND
    assert world.site.asks == ["/domain/example.com"]
    world.clock.advance(hours=2)
    await world.rdap.registrar("example.com")
    assert len(world.site.asks) == 2


async def test_those_who_ask_at_once_share_one_question_even_if_one_gives_up(world: World) -> None:
    put(world, "/domain/example.com", WHOLE)
    asking = [asyncio.create_task(world.rdap.registrar("example.com")) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers[1:] == [FOUND] * 19
    assert len(world.site.asks) == 1


async def test_what_is_missing_is_asked_for_again_after_six_hours(world: World) -> None:
    assert await world.rdap.registrar("example.com") == Responsible()
    put(world, "/domain/example.com", WHOLE)
    world.clock.advance(hours=5)
    assert await world.rdap.registrar("example.com") == Responsible()
    world.clock.advance(hours=2)
    assert await world.rdap.registrar("example.com") == FOUND


async def test_a_thin_registry_leads_to_the_registrars_own_answer_one_hop_and_no_further(world: World) -> None:
    def thin(path: str) -> dict[str, Any]:
        link = {"rel": "related", "href": f"{world.site.url}{path}", "type": "application/rdap+json"}
        return domain_answer(entity("registrar", card("Example Registrar")), links=[link])

    put(world, "/domain/example.com", thin("/further/example.com"))
    put(world, "/further/example.com", WHOLE)
    assert await world.rdap.registrar("example.com") == FOUND
    put(world, "/domain/other.com", thin("/one"))
    put(world, "/one", thin("/two"))
    assert await world.rdap.registrar("other.com") == Responsible(name="Example Registrar")
    assert "/two" not in world.site.asks


async def test_a_related_link_into_our_own_network_is_refused_and_the_rest_is_used(world: World) -> None:
    links = [{"rel": "related", "href": "http://169.254.169.254/domain/x", "type": "application/rdap+json"}]
    put(world, "/domain/example.com", domain_answer(entity("registrar", card("R")), links=links))
    assert await world.rdap.registrar("example.com") == Responsible(name="R")


async def test_a_registry_that_redirects_into_our_own_network_fails(world: World) -> None:
    world.site.pages["/domain/example.com"] = lambda _: web.Response(
        status=302, headers={"Location": "http://127.0.0.1:1/"}
    )
    with pytest.raises(RdapFailed):
        await world.rdap.registrar("example.com")


@pytest.mark.parametrize(
    "answer",
    [
        "Quota exceeded",
        "",
        "[]",
        "null",
        '{"error": "too many"}',
        '{"objectClassName": "entity"}',
        "[" * 100_000,
        '{"services": {}}',
    ],
)
async def test_an_answer_that_is_none_is_a_failure_that_may_pass(world: World, answer: str) -> None:
    put(world, "/domain/example.com", answer)
    with pytest.raises(RdapFailed):
        await world.rdap.registrar("example.com")
    put(world, "/domain/example.com", WHOLE)
    assert await world.rdap.registrar("example.com") == FOUND, "a failure is not remembered"


async def test_a_dict_where_a_list_is_due_is_an_answer_without_contact(world: World) -> None:
    put(world, "/domain/example.com", {"objectClassName": "domain", "entities": {"errorCode": 429}, "links": {}})
    assert await world.rdap.registrar("example.com") == Responsible()


async def test_an_answer_over_the_cap_is_refused(world: World) -> None:
    put(world, "/domain/example.com", {**WHOLE, "remarks": "x" * ANSWER_BYTES_MAX})
    with pytest.raises(RdapFailed, match="large"):
        await world.rdap.registrar("example.com")


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "120"}, 120), ({}, 60), ({"Retry-After": "99999999"}, 3_600)]
)
async def test_a_busy_server_is_left_alone_as_long_as_it_says(
    world: World, headers: dict[str, str], seconds: int
) -> None:
    world.site.pages["/domain/example.com"] = lambda _: web.Response(status=429, headers=headers)
    with pytest.raises(RdapBusy) as busy:
        await world.rdap.registrar("example.com")
    assert busy.value.seconds == seconds
    put(world, "/domain/other.com", WHOLE)
    with pytest.raises(RdapBusy):
        await world.rdap.registrar("other.com")
    assert len(world.site.asks) == 1, "its other domains wait too"
    world.clock.advance(seconds=seconds)
    assert await world.rdap.registrar("other.com") == FOUND


async def test_a_quota_told_in_a_200_counts_as_busy(world: World) -> None:
    put(world, "/domain/example.com", {"errorCode": 429, "title": "Rate limit exceeded"})
    with pytest.raises(RdapBusy):
        await world.rdap.registrar("example.com")


async def test_a_server_is_asked_so_often_a_minute_and_no_more(world: World) -> None:
    for number in range(ASKS_PER_MINUTE):
        await world.rdap.registrar(f"n{number}.com")
    with pytest.raises(RdapBusy) as busy:
        await world.rdap.registrar("one-more.com")
    assert busy.value.seconds <= 4
    world.clock.advance(seconds=3)
    await world.rdap.registrar("one-more.com")
    assert len(world.site.asks) == ASKS_PER_MINUTE + 1


async def test_a_domain_whose_registry_has_no_rdap_has_no_registrar_and_nobody_is_asked(world: World) -> None:
    assert await world.rdap.registrar("mega.nz") == Responsible()
    assert await world.rdap.registrar("example.ru") == Responsible()
    assert world.site.asks == []


async def test_the_holder_of_an_address(world: World) -> None:
    put(
        world,
        "/ip/203.0.113.7",
        network_answer(entity("registrant", card("Host B.V."), entity("abuse", card("", "abuse@host.example")))),
    )
    found = await world.rdap.holder(ipaddress.ip_address("203.0.113.7"))
    assert found == Responsible(name="Host B.V.", abuse_email="abuse@host.example")


async def test_an_unreachable_server_is_a_failure(world: World) -> None:
    world.bootstrap.domains["com"] = "http://127.0.0.1:9/"
    with pytest.raises(RdapFailed):
        await world.rdap.registrar("example.com")


def test_the_shipped_files_know_the_usual_domains_and_addresses() -> None:
    bootstrap = Bootstrap.shipped(FakeClock())
    assert bootstrap.for_domain("example.com") == "https://rdap.verisign.com/com/v1/"
    assert bootstrap.for_domain("mega.nz") is None
    assert "ripe" in (bootstrap.for_address(ipaddress.ip_address("193.0.6.139")) or "")
    assert "arin" in (bootstrap.for_address(ipaddress.ip_address("2600::1")) or "")
    assert bootstrap.for_address(ipaddress.ip_address("240.0.0.1")) is None


async def test_newer_files_are_taken_and_wrong_ones_are_not(world: World) -> None:
    world.clock.advance(days=400)
    assert world.bootstrap.old_files() == ["dns", "ipv4", "ipv6"]
    fresh = {"version": "1.0", "services": [[["com", "CO.UK"], ["http://plain.example/", "https://new.example"]]]}

    def etagged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.json_response(fresh, headers={"ETag": '"1"'})

    world.site.pages["/dns.json"] = etagged
    put(world, "/ipv4.json", {"services": {"com": "https://x/"}})
    await world.bootstrap.refresh(world.http)
    assert world.bootstrap.for_domain("a.b.co.uk") == "https://new.example/"
    assert world.bootstrap.for_address(ipaddress.ip_address("193.0.6.139")), "the old file stays"
    assert world.bootstrap.old_files() == ["ipv4", "ipv6"]
    world.clock.advance(days=91)
    await world.bootstrap.refresh(world.http)
    assert world.bootstrap.old_files() == ["ipv4", "ipv6"], "unchanged is confirmed too"
