"""HTTP to wherever a stranger's URL points: a guard in the way of every socket, and a bound on everything else.

The guard sits where the socket is made, so it sees the final address, whatever led there: a redirect, a name that resolves
to something else the second time, a literal in any spelling, an IPv4-mapped or NAT64 address. A resolver alone would not do:
IP literals never ask it. For hosts that an operator chose there is `client.py`.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import zlib
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver
from yarl import URL

from libs.common.http.addresses import is_public, unmapped
from libs.common.http.client import HttpError, HttpTimeout

CONNECTIONS_MAX: Final = 50
TOTAL_SECONDS: Final = 15.0  # of one fetch, with all its redirects
READ_SECONDS: Final = 5.0  # of silence
BODY_BYTES_MAX: Final = 256 << 10
REDIRECTS_MAX: Final = 5
URL_LENGTH_MAX: Final = 8_192
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_CHUNK_BYTES: Final = 16 << 10

Admit = Callable[[str], str]


class FetchRefused(HttpError):
    """The guard does not let us go there. Not one byte was sent to the place that was refused."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, may_have_left=False)


class NameUnknown(HttpError):
    """The name of the host does not exist (NXDOMAIN), as far as the resolver knows now."""


class TooManyRedirects(HttpError):
    """The chain of redirects is over the limit, or turns in a circle."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is where the redirects ended, `body` at most the cap; `is_cut` says that there was more."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes
    is_cut: bool
    hops: int


@dataclass(slots=True)
class _Guard:
    """What one fetch may connect to, and what it was refused."""

    ports: set[int]
    refused: list[str] = field(default_factory=list)


_guard: ContextVar[_Guard] = ContextVar("guard")


class GuardedClient:
    """Use `open`; `close` ends all connections. Nothing is ever repeated here."""

    def __init__(self, session: aiohttp.ClientSession, admit: Admit) -> None:
        self._session = session
        self._admit = admit

    @classmethod
    async def open(
        cls,
        *,
        user_agent: str,
        admit: Admit | None = None,
        connections_max: int = CONNECTIONS_MAX,
        allowed: Collection[tuple[str, int]] = (),
        resolver: AbstractResolver | None = None,
        authorities: ssl.SSLContext | None = None,
    ) -> Self:
        """`admit` judges every URL before it is asked for, redirects too: it returns the form to use or raises ValueError.

        `allowed` are (address, port) pairs of this machine that tests serve on. No setting fills it in production. `authorities`
        are believed about whom a certificate is for; None: those of this machine.
        """
        connector = aiohttp.TCPConnector(
            limit=connections_max,
            limit_per_host=0,
            force_close=True,  # a kept connection would spare the next fetch its guard
            use_dns_cache=False,
            resolver=resolver,
            ssl=True if authorities is None else authorities,
            socket_factory=_socket_factory(frozenset(allowed)),
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=READ_SECONDS, sock_read=READ_SECONDS),
            headers={hdrs.USER_AGENT: user_agent, hdrs.ACCEPT_ENCODING: "gzip"},
        )
        return cls(session, admit or (lambda url: url))

    async def close(self) -> None:
        await self._session.close()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        total_s: float = TOTAL_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
        redirects_max: int = REDIRECTS_MAX,
        reads_body: bool = True,
    ) -> Fetched:
        """One fetch with its redirects. Ports 80, 443 and the URL's own are open to it. Without `reads_body` it ends with the
        answer's head: whatever comes behind it, in whichever encoding, is nothing to us.

        Raises FetchRefused, NameUnknown, TooManyRedirects, HttpTimeout, HttpError. A body is only sent without redirects.
        """
        assert not body or redirects_max == 0
        guard = _Guard(ports=set(DEFAULT_PORTS.values()))
        token = _guard.set(guard)
        try:
            async with asyncio.timeout(total_s):
                return await self._follow(
                    guard, method, url, headers or {}, body, body_bytes_max if reads_body else None, redirects_max
                )
        except TimeoutError as exc:
            raise HttpTimeout(f"not done within {total_s:.1f} s", may_have_left=True) from exc
        finally:
            _guard.reset(token)

    async def _follow(
        self,
        guard: _Guard,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        body_bytes_max: int | None,
        redirects_max: int,
    ) -> Fetched:
        seen: set[str] = set()
        for hop in range(redirects_max + 1):
            target = self._admitted(url, guard, is_first=hop == 0)
            if str(target) in seen:
                raise TooManyRedirects("the redirects turn in a circle", may_have_left=True)
            seen.add(str(target))
            try:
                async with self._session.request(
                    method, target, headers=headers, data=body or None, allow_redirects=False
                ) as response:
                    location = response.headers.get(hdrs.LOCATION, "")
                    if response.status in _REDIRECTS and location and redirects_max:
                        url = urljoin(str(target), location)
                        continue
                    content, is_cut = b"", True
                    if body_bytes_max is not None:
                        content, is_cut = await _read(response, body_bytes_max)
                    return Fetched(
                        status=response.status,
                        headers=response.headers,
                        url=str(target),
                        body=content,
                        is_cut=is_cut,
                        hops=hop,
                    )
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                raise _told(exc, guard) from exc
        raise TooManyRedirects(f"more than {redirects_max} redirects", may_have_left=True)

    def _admitted(self, url: str, guard: _Guard, *, is_first: bool) -> URL:
        """`url` in the form to ask for. Raises FetchRefused."""
        if len(url) > URL_LENGTH_MAX:
            raise FetchRefused("the URL is too long")
        try:
            url = self._admit(url)
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
            target = URL(url, encoded=True)
        except ValueError as exc:
            raise FetchRefused(f"not a URL to go to: {exc}") from exc
        if parts.scheme not in DEFAULT_PORTS or not target.host:
            raise FetchRefused("only http and https lead to hosts")
        if parts.username is not None or parts.password is not None:
            raise FetchRefused("a URL with a user name or password")
        if is_first:
            guard.ports.add(port)
        elif port not in guard.ports:
            raise FetchRefused(f"a redirect to port {port}")
        return target


def _socket_factory(allowed: frozenset[tuple[str, int]]) -> Callable[[Any], socket.socket]:
    """Sockets for public addresses and open ports only; anything else raises before there is a socket."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        host, port = sockaddr[0], sockaddr[1]
        guard = _guard.get()
        try:
            address = unmapped(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            address = None
        is_open = address is not None and port in guard.ports and is_public(address)
        if not is_open and (str(address), port) not in allowed:
            guard.refused.append(f"{host} port {port}")
            raise PermissionError(f"not a public address: {host} port {port}")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """At most `most` bytes of the body, unpacked, and whether there was more. Raises HttpError for an encoding we did not
    ask for or that is broken. What is packed is never unpacked further than `most`, however small it looks.
    """
    encoding = response.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() or "identity"
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise HttpError(f"an encoding that was not asked for: {encoding[:20]!r}", may_have_left=True)
    unpack = None if encoding == "identity" else zlib.decompressobj(wbits=31)
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        if unpack is None:
            content += chunk
        else:
            try:
                content += unpack.decompress(chunk, most + 1 - len(content))
            except zlib.error as exc:
                raise HttpError("the body is not what its encoding says", may_have_left=True) from exc
        if len(content) > most:
            with contextlib.suppress(aiohttp.ClientError):
                response.close()  # the rest is not wanted
            return bytes(content[:most]), True
    return bytes(content), False


def _told(exc: Exception, guard: _Guard) -> HttpError:
    """Our word for what went wrong."""
    if guard.refused:
        return FetchRefused(f"not a public address: {guard.refused[-1]}")
    if isinstance(exc, aiohttp.InvalidURL):
        return FetchRefused("not a URL to go to")  # `127.1` and the like, which no browser should take for a name
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        kind = NameUnknown if exc.os_error.errno in _NO_SUCH_NAME else HttpError
        return kind("the name does not resolve", may_have_left=False)
    if isinstance(exc, aiohttp.ServerTimeoutError):
        return HttpTimeout("silence for too long", may_have_left=True)
    may_have_left = not isinstance(exc, aiohttp.ClientConnectorError)
    return HttpError(f"no usable answer: {type(exc).__name__}", may_have_left=may_have_left)
