"""The port `Eyes` on a real site. Alone: what is decided by a look is pure (`domain/verdict.py`), so no test needs another pair."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from deploy.local import ports
from libs.common.http.guarded import GuardedClient
from services.takedowns.domain.notice_ports import Eyes
from services.takedowns.domain.verdict import Look
from services.takedowns.gateways.eyes import PageEyes
from tests.support.clock import FakeClock
from tests.support.raw_server import talking
from tests.support.site import Site, a_site
from tests.support.under_way import Loopback

PAGE = "<title>Luna Vale</title><p>all of her scenes"


@dataclass
class World:
    eyes: Eyes
    site: Site
    clock: FakeClock
    names: Loopback

    def url(self, path: str, *, host: str = "leaks.example") -> str:
        return f"http://{host}:{self.site.port}{path}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock, names = FakeClock(), Loopback()
    async with a_site() as site:
        http = await GuardedClient.open(user_agent="fangate-test", resolver=names, allowed=[site.address])
        yield World(PageEyes(http, clock), site, clock, names)
        await http.close()


async def test_a_look_shows_where_it_ended_and_what_stands_there(world: World) -> None:
    world.site.pages["/a"] = lambda _: web.Response(status=302, headers={"Location": "/b?c=1"})
    world.site.pages["/b"] = lambda _: web.Response(
        text=PAGE, content_type="text/html", headers={"CF-Mitigated": "x", "Set-Cookie": "secret=1"}
    )
    look = await world.eyes.look(world.url("/a"), is_head=False)
    assert (look.at, look.status, look.final_url) == (world.clock.now(), 200, world.url("/b?c=1"))
    assert (look.error, look.is_unresolved) == (None, False)
    assert "all of her scenes" in look.text
    assert look.print_ is not None
    assert look.print_.title.casefold() == "luna vale"
    assert look.headers["cf-mitigated"] == "x"
    assert "secret=1" not in str(look.headers)


async def test_a_look_at_the_head_reads_no_page(world: World) -> None:
    methods = []

    def page(request: web.Request) -> web.Response:
        methods.append(request.method)
        return web.Response(text=PAGE, content_type="text/html")

    world.site.pages["/a"] = page
    look = await world.eyes.look(world.url("/a"), is_head=True)
    assert (methods, look.status, look.text, look.print_) == (["HEAD"], 200, "", None)


async def test_what_is_no_text_is_not_read(world: World) -> None:
    world.site.pages["/a"] = lambda _: web.Response(body=b"\x89PNG words", content_type="image/png")
    look = await world.eyes.look(world.url("/a"), is_head=False)
    assert (look.status, look.text, look.print_) == (200, "", None)


@pytest.mark.parametrize("charset", ["utf-7", "idna", "base64", "rot13", "no-such", "utf-16", "\xff", ""])
async def test_a_page_in_any_charset_is_looked_at(world: World, charset: str) -> None:
    world.site.pages["/a"] = lambda _: web.Response(
        body=PAGE.encode(), headers={"Content-Type": f"text/html; charset={charset}"}
    )
    look = await world.eyes.look(world.url("/a"), is_head=False)
    assert (look.status, look.error) == (200, None)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://10.0.0.1/", "FetchRefused"), ("http://127.0.0.2/", "FetchRefused"), ("ftp://leaks.example/", "FetchRefused"),
        ("http://user:word@leaks.example/", "FetchRefused"), ("http://[::1", "FetchRefused"), ("", "FetchRefused"),
        ("http://leaks.example:99999/", "FetchRefused"), ("http://" + "a" * 9_000, "FetchRefused"),
        ("http://leaks.example\x00/", "FetchRefused"), ("http://leaks.example/\r\nHost: x", "FetchRefused"),
    ],
)  # fmt: skip
async def test_what_may_not_be_gone_to_is_in_the_look(world: World, url: str, error: str) -> None:
    look = await world.eyes.look(url, is_head=False)
    assert look == Look(at=world.clock.now(), error=error)


async def test_a_name_that_is_not_there_is_in_the_look(world: World) -> None:
    world.names.unknown.add("leaks.example")
    look = await world.eyes.look(world.url("/a"), is_head=False)
    assert (look.status, look.is_unresolved) == (None, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno gzip..",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    ],
)  # fmt: skip
async def test_whatever_a_server_does_is_in_the_look(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    (port,) = ports.pick(1)
    http = await GuardedClient.open(user_agent="fangate-test", allowed=[("127.0.0.1", port)])
    eyes, url = PageEyes(http, FakeClock()), f"http://127.0.0.1:{port}/"
    looks = [await eyes.look(url, is_head=False)]
    async with talking(talk, port=port):
        looks.append(await eyes.look(url, is_head=False))
        assert await eyes.look_at_missing(url, is_head=False) is None
    await http.close()
    assert [(look.status, look.error is None) for look in looks] == [(None, False)] * 2


async def test_what_is_missing_is_looked_at_once_a_day_for_each_folder(world: World) -> None:
    world.site.missing = (200, "<title>Sorry</title>nothing here")
    for path in ("/videos/a", "/videos/b?c=/d", "/videos/", "/a"):
        look = await world.eyes.look_at_missing(world.url(path), is_head=False)
        assert look is not None
        assert (look.status, "nothing here" in look.text) == (200, True)
    first, second = world.site.asks
    assert first.startswith("/videos/")
    assert second.count("/") == 1
    world.clock.advance(hours=23)
    assert await world.eyes.look_at_missing(world.url("/videos/a"), is_head=False) is not None
    assert len(world.site.asks) == 2
    world.clock.advance(hours=1)
    world.site.missing = (404, "not found")
    later = await world.eyes.look_at_missing(world.url("/videos/a"), is_head=False)
    assert later is not None
    assert (later.status, later.at) == (404, world.clock.now())
    assert len(set(world.site.asks)) == 3, "each of these paths never was"


async def test_the_head_of_what_is_missing_says_nothing_about_its_page(world: World) -> None:
    world.site.missing = (200, "<title>Sorry</title>nothing here")
    found = [await world.eyes.look_at_missing(world.url("/a"), is_head=is_head) for is_head in (True, False)]
    assert [look is not None and look.print_ is not None for look in found] == [False, True]


async def test_what_a_host_shows_is_its_own(world: World) -> None:
    assert await world.eyes.look_at_missing(world.url("/a"), is_head=False) is not None
    world.names.unknown.add("other.example")
    assert await world.eyes.look_at_missing(world.url("/a", host="other.example"), is_head=False) is None
