"""Nothing of our own network is ever connected to, whatever a URL, a site, a registry or a host's answer says: a listener on other
addresses of this machine, at the very port that is allowed, would notice.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult

from libs.common.http.guarded import GuardedClient
from services.takedowns.app import _admitting
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.domain.url import UrlReader
from services.takedowns.gateways.eyes import PageEyes
from services.takedowns.gateways.rdap import Rdap
from services.takedowns.gateways.rdap_bootstrap import Bootstrap
from tests.support.clock import FakeClock
from tests.support.mails import a_mail
from tests.support.rdap import domain_answer
from tests.support.servers import TestDatabase
from tests.support.site import Site, a_site
from tests.support.takedowns import Takedowns
from tests.support.under_way import HOST, Loopback, a_world

# Spellings of 127.0.0.2 and ::1, where the listener is, and what must not be gone to for other reasons.
LITERALS = [
    "127.0.0.2", "2130706434", "0x7f.2", "0177.2", "127.2", "0x7f000002", "127.0.0.2.", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]",
    "[64:ff9b::7f00:2]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.2]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.16.0.1",
    "192.168.0.1", "100.64.0.1", "198.18.0.1", "168.63.129.16", "[fd00::1]", "[fe80::1]", "[2002:7f00:2::]", "[fec0::1]",
]  # fmt: skip
NAMED = ["127.0.0.2", "::1", "::ffff:127.0.0.2", "0.0.0.0"]


@dataclass
class Trap:
    """What listens beside the site."""

    site: Site
    came: list[str] = field(default_factory=list)

    def url(self, host: str, path: str = "/") -> str:
        return f"http://{host}:{self.site.port}{path}"


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    async with a_site() as site, contextlib.AsyncExitStack() as ends:
        made = Trap(site)

        async def noticed(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.came.append(str(writer.get_extra_info("sockname")))
            writer.close()

        for address, family in (("127.0.0.2", socket.AF_INET), ("::1", socket.AF_INET6)):
            with contextlib.suppress(OSError):  # a machine without IPv6
                server = await asyncio.start_server(noticed, address, site.port, family=family)
                ends.push_async_callback(server.wait_closed)
                ends.callback(server.close)
        _, writer = await asyncio.open_connection("127.0.0.2", site.port)
        writer.close()
        await asyncio.sleep(0.05)
        assert made.came, "the listener notices"
        made.came.clear()
        yield made


class Names(Loopback):
    """Names that resolve to what the test says; numbers in any spelling to what they mean, as the system's resolver has it."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        (found,) = await super().resolve(host, port, family)
        address = found["host"]
        with contextlib.suppress(OSError):
            address = socket.inet_ntoa(socket.inet_aton(host))
        spoken = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=spoken, proto=0, flags=0)]


@pytest.fixture
async def eyes(trap: Trap) -> AsyncIterator[tuple[PageEyes, Names]]:
    names = Names()
    http = await GuardedClient.open(
        user_agent="fangate-test", admit=_admitting(UrlReader()), allowed=[trap.site.address], resolver=names
    )
    yield PageEyes(http, FakeClock()), names
    await http.close()


@pytest.mark.parametrize("literal", LITERALS)
async def test_no_look_goes_to_an_address_of_ours_directly_or_by_a_redirect(
    trap: Trap, eyes: tuple[PageEyes, Names], literal: str
) -> None:
    trap.site.pages["/lead"] = lambda _: web.Response(status=302, headers={"Location": trap.url(literal)})
    look = await eyes[0].look(trap.url(literal), is_head=False)
    assert look.status is None
    look = await eyes[0].look(trap.url(HOST, "/lead"), is_head=False)
    assert trap.site.asks == ["/lead"]
    assert look.status is None
    assert trap.came == []


@pytest.mark.parametrize("address", NAMED)
async def test_no_look_goes_to_a_name_that_is_an_address_of_ours_nor_one_that_becomes_one(
    trap: Trap, eyes: tuple[PageEyes, Names], address: str
) -> None:
    look, names = eyes[0].look, eyes[1]
    trap.site.pages["/a"] = "here"
    assert (await look(trap.url(HOST, "/a"), is_head=False)).status == 200
    names.elsewhere[HOST] = address  # the second answer of a rebinding name
    assert (await look(trap.url(HOST, "/a"), is_head=False)).status is None
    assert trap.came == []


@pytest.mark.parametrize("literal", LITERALS)
async def test_no_registry_leads_to_an_address_of_ours(trap: Trap, literal: str) -> None:
    http = await GuardedClient.open(user_agent="fangate-test", allowed=[trap.site.address], resolver=Names())
    bootstrap = Bootstrap(FakeClock(), domains={"com": f"{trap.site.url}/", "net": trap.url(literal)})
    bootstrap.networks["ipv4"] = [(ipaddress.ip_network("203.0.113.0/24"), trap.url(literal))]
    rdap = Rdap(http, bootstrap, FakeClock())
    trap.site.pages["/domain/redirects.com"] = lambda _: web.Response(
        status=302, headers={"Location": trap.url(literal)}
    )
    link = {"rel": "related", "href": trap.url(literal, "/domain/x"), "type": "application/rdap+json"}
    trap.site.pages["/domain/related.com"] = (200, json.dumps(domain_answer(links=[link])))
    try:
        with pytest.raises(RegistryTrouble):
            await rdap.registrar("redirects.com")
        with pytest.raises(RegistryTrouble):
            await rdap.registrar("anything.net")
        with pytest.raises(RegistryTrouble):
            await rdap.holder(ipaddress.ip_address("203.0.113.9"))
        await rdap.registrar("related.com")
    finally:
        await http.close()
    assert trap.came == []


async def test_no_submission_takes_an_address_of_ours_and_no_answer_makes_us_go_to_one(
    trap: Trap, takedowns: Takedowns, database: TestDatabase, tmp_path: Path
) -> None:
    creator = await takedowns.creator()
    # Of version 6, and a cloud's public one, are some that only the guard knows: they are taken, and never gone to.
    spelled = [literal for literal in LITERALS if "[" not in literal and literal != "168.63.129.16"]
    told = await takedowns.submit((creator, [trap.url(literal, "/stolen") for literal in spelled]))
    assert (told.new, told.invalid) == (0, len(spelled))
    async with a_world(takedowns, database, tmp_path) as world:
        await world.entry()
        await world.begin("/a")
        (mail,) = world.sink.messages()
        world.receive(a_mail(f"Please use our form: {trap.url('127.0.0.2', '/dmca-form')}", to=str(mail["Reply-To"])))
        for _ in range(5):
            await world.turn(days=1)
    assert trap.came == []
