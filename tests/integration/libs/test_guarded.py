"""The guarded session against addresses that are not public, and servers that lead astray or never end."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from deploy.local import ports
from libs.common.http.client import HttpError, HttpTimeout
from libs.common.http.guarded import FetchRefused, GuardedClient, NameUnknown, TooManyRedirects
from tests.support.raw_server import answer, serving, talking

PROBES = [
    "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.8", "192.88.99.1", "198.18.0.1", "168.63.129.16", "224.0.0.1", "255.255.255.255", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2001::1]", "[fec0::1]", "[fe80::1]", "[fd00::1]", "[ff02::1]",
]  # fmt: skip


class Resolver(AbstractResolver):
    """Answers one address after the other, the last for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        if not address:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


async def a_client(*urls: str, **options: Any) -> GuardedClient:
    """A client that may go to these servers of the test, and nowhere else on this machine."""
    allowed: Collection[tuple[str, int]] = [_address(url) for url in urls]
    return await GuardedClient.open(user_agent="fangate-test", allowed=allowed, **options)


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


@pytest.fixture
async def strict() -> AsyncIterator[GuardedClient]:
    client = await a_client()
    yield client
    await client.close()


def to(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", f"Location: {location}", status=status)


@pytest.mark.parametrize("host", PROBES)
async def test_an_address_that_is_not_public_is_refused_and_hears_nothing(strict: GuardedClient, host: str) -> None:
    asks: list[bytes] = []
    async with serving(answer(b"secret"), asks=asks) as url:
        with pytest.raises(FetchRefused):
            await strict.fetch("GET", f"http://{host}:{_address(url)[1]}/")
    assert asks == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3"])
async def test_a_literal_is_refused_although_a_resolver_would_have_said_a_public_address(host: str) -> None:
    resolver = Resolver("93.184.216.34")
    client = await a_client(resolver=resolver)
    with pytest.raises(FetchRefused):
        await client.fetch("GET", f"http://{host}/")
    assert resolver.asked == [], "a guard in the resolver alone would have been walked around"
    await client.close()


async def test_the_public_internet_is_not_refused_by_the_factory() -> None:
    from libs.common.http.guarded import _Guard, _guard, _socket_factory

    make = _socket_factory(frozenset())
    token = _guard.set(_Guard(ports={443}))
    try:
        for address, family in (("93.184.216.34", socket.AF_INET), ("2606:2800:220:1::1", socket.AF_INET6)):
            make((family, socket.SOCK_STREAM, 0, "", (address, 443))).close()
        with pytest.raises(PermissionError):
            make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.216.34", 22)))
    finally:
        _guard.reset(token)


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/meta-data/", "http://2130706433/", "http://[::1]/", "//127.1/", "http://0x7f.1/"],
)
async def test_a_redirect_leads_through_the_guard(location: str) -> None:
    async with serving(to(location)) as url:
        client = await a_client(url)
        with pytest.raises(FetchRefused):
            await client.fetch("GET", url)
        await client.close()


@pytest.mark.parametrize("location", ["ftp://e.com/", "file:///etc/passwd", "javascript:1", "http://u:p@e.com/"])
async def test_a_redirect_to_what_is_no_plain_web_address_is_refused(location: str) -> None:
    async with serving(to(location)) as url:
        client = await a_client(url)
        with pytest.raises(FetchRefused):
            await client.fetch("GET", url)
        await client.close()


async def test_a_name_that_resolves_elsewhere_the_second_time_is_refused_there() -> None:
    asks: list[bytes] = []
    port = ports.pick(1)[0]
    async with (
        serving(to("/again"), port=port) as url,
        serving(answer(b"secret"), host="127.0.0.2", port=port, asks=asks),
    ):
        resolver = Resolver("127.0.0.1", "127.0.0.2")
        client = await a_client(url, resolver=resolver)
        with pytest.raises(FetchRefused):
            await client.fetch("GET", f"http://rebind.example:{port}/")
        await client.close()
    assert resolver.asked == ["rebind.example", "rebind.example"], "no answer is kept for the next hop"
    assert asks == []


async def test_a_redirect_to_an_odd_port_is_refused_the_urls_own_is_not() -> None:
    async with serving(answer(b"other")) as other, serving(to(other), to("/there"), answer(b"here")) as url:
        client = await a_client(url, other)
        with pytest.raises(FetchRefused, match="port"):
            await client.fetch("GET", url)
        got = await client.fetch("GET", url)
        await client.close()
    assert (got.body, got.url, got.hops) == (b"here", f"{url}/there", 1)


async def test_redirects_are_counted_and_circles_seen() -> None:
    async with serving(*(to(f"/{n}") for n in range(9))) as url:
        client = await a_client(url)
        with pytest.raises(TooManyRedirects):
            await client.fetch("GET", url)
        await client.close()
    async with serving(*(to(path) for path in ("/a", "/b", "/a"))) as url:
        client = await a_client(url)
        with pytest.raises(TooManyRedirects, match="circle"):
            await client.fetch("GET", url)
        await client.close()
    async with serving(*(to(f"/{n}") for n in range(5)), answer(b"end")) as url:
        client = await a_client(url)
        assert (await client.fetch("GET", url)).body == b"end"
        await client.close()


async def test_without_redirects_the_first_answer_is_the_answer() -> None:
    async with serving(to("/elsewhere")) as url:
        client = await a_client(url)
        got = await client.fetch("POST", url, body=b"{}", redirects_max=0)
        await client.close()
    assert (got.status, got.hops) == (302, 0)


@pytest.mark.alone  # it measures time
async def test_a_gzip_bomb_stops_at_the_cap_at_once() -> None:
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    async with serving(answer(bomb, "Content-Encoding: gzip")) as url:
        client = await a_client(url)
        started = time.perf_counter()
        got = await client.fetch("GET", url)
        await client.close()
    assert (len(got.body), got.is_cut) == (256 << 10, True)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("size", [999, 1_000, 1_001])
@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_body_up_to_the_cap_is_whole(size: int, is_packed: bool) -> None:
    raw = answer(gzip.compress(b"x" * size), "Content-Encoding: gzip") if is_packed else answer(b"x" * size)
    async with serving(raw) as url:
        client = await a_client(url)
        got = await client.fetch("GET", url, body_bytes_max=1_000)
        await client.close()
    assert (len(got.body), got.is_cut) == (min(size, 1_000), size > 1_000)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate", "gzip"])
async def test_a_body_that_cannot_be_unpacked_is_an_error(encoding: str) -> None:
    async with serving(answer(b"not packed at all", f"Content-Encoding: {encoding}")) as url:
        client = await a_client(url)
        with pytest.raises(HttpError):
            await client.fetch("GET", url)
        await client.close()


@pytest.mark.alone  # it measures time
async def test_a_slow_drip_ends_with_the_total_and_silence_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await asyncio.sleep(0.05)

    async with talking(drip) as port:
        client = await a_client(f"http://127.0.0.1:{port}")
        started = time.perf_counter()
        with pytest.raises(HttpTimeout):
            await client.fetch("GET", f"http://127.0.0.1:{port}/", total_s=0.5)
        assert time.perf_counter() - started < 2.0
        await client.close()
    monkeypatch.setattr("libs.common.http.guarded.READ_SECONDS", 0.2)
    async with serving(b"", stay_s=3.0) as url:
        client = await a_client(url)
        with pytest.raises(HttpTimeout):
            await client.fetch("GET", url)
        await client.close()


async def test_nothing_is_kept_and_nothing_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asks: list[bytes] = []
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    cookie = answer(b"", "Location: /b", "Set-Cookie: sid=x; Path=/", status="302 Found")
    async with serving(cookie, answer(b"{}"), asks=asks) as url:
        client = await a_client(url)
        await client.fetch("GET", url)
        await client.close()
    assert len(asks) == 2
    assert b"Cookie" not in asks[1]
    assert b"User-Agent: fangate-test" in asks[0]


async def test_a_name_that_does_not_exist_is_told_apart_from_a_refused_connection() -> None:
    client = await a_client(resolver=Resolver(""))
    with pytest.raises(NameUnknown):
        await client.fetch("GET", "http://gone.example/")
    await client.close()
    url = f"http://127.0.0.1:{ports.pick(1)[0]}"
    client = await a_client(url)
    with pytest.raises(HttpError) as refused:
        await client.fetch("GET", url)
    assert not isinstance(refused.value, FetchRefused | NameUnknown)
    assert not refused.value.may_have_left
    await client.close()


async def test_what_judges_urls_sees_every_hop() -> None:
    def admit(url: str) -> str:
        if "denied" in url:
            raise ValueError("a host we do not go to")
        return url

    async with serving(to("/fine"), to("/denied")) as url:
        client = await a_client(url, admit=admit)
        with pytest.raises(FetchRefused, match="do not go"):
            await client.fetch("GET", url)
        await client.close()
