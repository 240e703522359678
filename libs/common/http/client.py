"""Outgoing HTTP to platforms and other strangers: one shared pool of connections, and a bound on everything.

No redirects, no cookie jar, no decompression (we ask for none and refuse it), a cap on the body, a deadline per exchange.
Every failure says whether a byte of the request may have left. It is never repeated here.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Self
from urllib.parse import urlsplit

from libs.common.deadlines import Deadlines
from libs.common.http.connection import Connection, HttpAnswer, HttpError, HttpTimeout, HttpTooLarge

CONNECTIONS_MAX: Final = 256
KEEPALIVE_SECONDS: Final = 15.0  # below what servers keep (60 s and more): a call rarely meets a connection just closed
CONNECT_SECONDS: Final = 5.0
BODY_BYTES_MAX: Final = 8 << 20
ORIGINS_MAX: Final = 1_024  # whose addresses are kept read
HEADERS: Final = "User-Agent: fangate\r\nAccept-Encoding: identity\r\n"
_METHODS: Final = frozenset({"GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})  # HEAD's answer lies about its length
_BODILESS: Final = frozenset({"GET", "OPTIONS"})  # of the others even an empty body has its length said


@dataclass(frozen=True, slots=True, eq=False)  # one object each: told apart by identity
class Origin:
    """A server: where it is and how it is called in a request."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    name: str  # of the Host header


class HttpClient:
    """Use `open`; `close` ends all connections."""

    def __init__(self, connections_max: int, body_bytes_max: int) -> None:
        self._turns = asyncio.Semaphore(connections_max)
        self._body_bytes_max = body_bytes_max
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines()
        self._open: set[Connection] = set()
        self._idle: dict[Origin, deque[Connection]] = {}  # of each, the longest unused first
        self._sweep: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, *, connections_max: int = CONNECTIONS_MAX, body_bytes_max: int = BODY_BYTES_MAX) -> Self:
        """A client with its own pool; `connections_max` bounds the exchanges under way, more wait their turn."""
        return cls(connections_max, body_bytes_max)

    async def close(self) -> None:
        """End all connections; exchanges under way fail."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._deadlines.close()
        for connection in list(self._open):
            connection.close()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        """One exchange; `url` is sent as it is (percent-encoding untouched).

        Raises HttpTimeout, HttpTooLarge, HttpError; ValueError for what cannot be a request.
        """
        origin, target = _split(url)
        request = _rendered(method, target, origin, headers, body)
        give_up_at = self._loop.time() + timeout_s
        await self._turn(timeout_s)
        try:
            connection = self._idle_one(origin) or await self._connected(origin, give_up_at - self._loop.time())
            answer = await connection.exchange(request, timeout_s=give_up_at - self._loop.time())
            if connection.is_open:
                self._keep(origin, connection)
            return answer
        finally:
            self._turns.release()

    async def _turn(self, timeout_s: float) -> None:
        if not self._turns.locked():
            await self._turns.acquire()  # at once
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            raise HttpTimeout("no free connection in time", may_have_left=False) from None

    def _idle_one(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open and self._loop.time() - connection.idle_since_s < KEEPALIVE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connected(self, origin: Origin, timeout_s: float) -> Connection:
        try:
            async with asyncio.timeout(min(timeout_s, CONNECT_SECONDS)):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(
                        body_bytes_max=self._body_bytes_max, deadlines=self._deadlines, on_lost=self._open.discard
                    ),
                    origin.host, origin.port, ssl=origin.tls,
                )  # fmt: skip
        except TimeoutError as exc:
            raise HttpTimeout("no connection in time", may_have_left=False) from exc
        except OSError as exc:  # also what TLS refuses
            raise HttpError(f"no connection: {type(exc).__name__}", may_have_left=False) from exc
        self._open.add(connection)
        return connection

    def _keep(self, origin: Origin, connection: Connection) -> None:
        connection.idle_since_s = self._loop.time()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(KEEPALIVE_SECONDS, self._close_old)

    def _close_old(self) -> None:
        """One timer for all: close what nobody has used for long, look again while any is left."""
        oldest_s = self._loop.time() - KEEPALIVE_SECONDS
        for origin, idle in list(self._idle.items()):
            while idle and (not idle[0].is_open or idle[0].idle_since_s <= oldest_s):
                idle.popleft().close()
            if not idle:
                del self._idle[origin]
        self._sweep = self._loop.call_later(KEEPALIVE_SECONDS, self._close_old) if self._idle else None


def _split(url: str) -> tuple[Origin, str]:
    """The server and what it is asked for. Raises ValueError."""
    at = url.find("/", 8)  # behind https://
    if at < 0:
        return _origin(url), "/"
    return _origin(url[:at]), url[at:]


@lru_cache(maxsize=ORIGINS_MAX)
def _origin(base: str) -> Origin:
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an http:// or https:// URL of a host is expected")
    is_https = parts.scheme == "https"
    return Origin(
        host=parts.hostname,
        port=parts.port or (443 if is_https else 80),
        tls=_tls() if is_https else None,
        name=parts.netloc,
    )


@cache
def _tls() -> ssl.SSLContext:
    """The authorities that this machine trusts, read once; TLS 1.2 at least, whatever the machine's defaults say."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _rendered(method: str, target: str, origin: Origin, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a request. Raises ValueError for a method that is not spoken, and for anything that would end a line early."""
    if method not in _METHODS:
        raise ValueError(f"{method!a} is not spoken")
    lines = f"{method} {target} HTTP/1.1\r\nHost: {origin.name}\r\n{HEADERS}"
    for name, value in headers.items():
        lines += f"{name}: {value}\r\n"
    count = 4 + len(headers)
    if body or method not in _BODILESS:
        lines += f"Content-Length: {len(body)}\r\n"
        count += 1
    if " " in target or lines.count("\r") != count or lines.count("\n") != count:
        raise ValueError("a space in the target, or a line break in it or in a header")
    return lines.encode("utf-8", "surrogateescape") + b"\r\n" + body


__all__ = ["HttpAnswer", "HttpClient", "HttpError", "HttpTimeout", "HttpTooLarge"]
