"""One connection to Redis that all requests of a process share: what is asked in one loop tick leaves in one write, and answers
come in the order of the questions. So a request costs a tenth of what a connection of its own from a pool costs.

Redis answers a connection strictly in order: when the oldest question has no answer in time, none behind it has, and the
connection is given up as a whole. Nobody ever reads an answer meant for another.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis

OWN_DELAY_S: Final = 0.005  # a second look, after our own loop has read what lay in the socket while it was busy
_NOTHING: Final = object()  # no whole answer in the buffer
_RUN_ID: Final = re.compile(r"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)
_REIGN: Final = re.compile(r"^master_replid:([0-9a-f]{8})", re.MULTILINE)

Value = str | int


class LinkLost(Exception):
    """There is no answer and none will come. `kind` is a metric's label: `connect`, `lost`, `stalled`, `closed`."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Epoch:
    """Whose memory it is: the server's process and its reign as a master. What was set aside in one is void in any other."""

    run_id: str
    reign: str  # first 8 hex digits of master_replid: another after every promotion

    @property
    def name(self) -> str:
        return self.run_id + self.reign

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and how to log in."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""  # of a Unix socket, instead of host and port
    database: int = 0
    username: str = ""
    password: str = ""
    ssl: SSLContext | None = None

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `redis://[user:password@]host:port/db`, the same with rediss:// (`?ssl_ca_certs=FILE` for an authority of one's
        own), or `unix://[user:password@]/path?db=0`. Raises ValueError.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("a redis://, rediss:// or unix:// URL is expected")
        is_local = parts.scheme == "unix"
        database = options.get("db") or ("" if is_local else parts.path.strip("/"))
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or 6379,
            path=unquote(parts.path) if is_local else "",
            database=int(database or 0),
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            ssl=create_default_context(cafile=options.get("ssl_ca_certs")) if parts.scheme == "rediss" else None,
        )


class Link(asyncio.Protocol):
    """An open connection; `epoch` is known once `open_link` returned it. `on_lost` is called once, however it ends."""

    def __init__(self, *, timeout_s: float, on_lost: Callable[["Link", LinkLost], None]) -> None:
        """Use `open_link`."""
        self.epoch = Epoch("", "")
        self.lost: LinkLost | None = None
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._reader = hiredis.Reader(encoding="utf-8", notEnoughData=_NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()  # with the time of the question
        self._unwritten: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_second_look = False
        self._is_retired = False

    def ask(self, *parts: Value) -> "asyncio.Future[Any]":
        """One command; its answer, or hiredis.ReplyError for the server's no, or LinkLost when nobody knows. Raises LinkLost
        at once if the connection is gone.

        Whoever is cancelled while waiting leaves the connection as it is.
        """
        if self.lost is not None:
            raise LinkLost(self.lost.kind, str(self.lost))
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._unwritten:
            self._loop.call_soon(self._write)  # after all tasks that are ready now have asked
        self._unwritten.append(hiredis.pack_command(parts))  # type: ignore[arg-type]  # the stub says: a tuple of one
        self._waiting.append((future, self._loop.time()))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        return future

    def retire(self) -> None:
        """Close as soon as what was asked is answered."""
        self._is_retired = True
        if not self._waiting:
            self.end(LinkLost("closed", "the connection was closed"))

    def end(self, error: LinkLost) -> None:
        """Give up: who waits is told so."""
        if self.lost is not None:
            return
        self.lost = error
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(LinkLost(error.kind, str(error)))
        self._waiting.clear()
        self._on_lost(self, error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses of asyncio's

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _NOTHING:
                if isinstance(answer, hiredis.PushNotification):
                    continue  # nobody asked
                future, _ = self._waiting.popleft()
                if future.done():
                    continue  # who asked was cancelled
                if isinstance(answer, hiredis.ReplyError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError) as exc:
            self.end(LinkLost("lost", f"not the protocol of Redis: {exc!r}"))
            return
        if self._is_retired and not self._waiting:
            self.end(LinkLost("closed", "the connection was closed"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(LinkLost("lost", f"the connection was lost: {exc!r}"))

    def _write(self) -> None:
        parts, self._unwritten = self._unwritten, []
        if self.lost is None and self._transport is not None:
            self._transport.write(b"".join(parts))

    def _look(self) -> None:
        """One timer for all questions: has the oldest waited too long?"""
        self._timer = None
        if not self._waiting:
            return
        left_s = self._waiting[0][1] + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._is_second_look = False
            self._timer = self._loop.call_later(left_s, self._look)
        elif not self._is_second_look:
            self._is_second_look = True
            self._timer = self._loop.call_later(OWN_DELAY_S, self._look)
        else:
            self.end(LinkLost("stalled", f"no answer within {self._timeout_s} s"))


async def open_link(address: Address, *, timeout_s: float, on_lost: Callable[[Link, LinkLost], None]) -> Link:
    """Connect, log in, and learn whose memory it is. Raises LinkLost."""
    loop = asyncio.get_running_loop()
    link = Link(timeout_s=timeout_s, on_lost=on_lost)
    try:
        async with asyncio.timeout(timeout_s):
            if address.path:
                await loop.create_unix_connection(lambda: link, address.path)
            else:
                name = address.host if address.ssl else None
                await loop.create_connection(
                    lambda: link, address.host, address.port, ssl=address.ssl, server_hostname=name
                )
            login = ("AUTH", address.username or "default", address.password) if address.password else ()
            await link.ask("HELLO", 3, *login)
            if address.database:
                await link.ask("SELECT", address.database)
            info = str(await link.ask("INFO", "server", "replication"))
    except TimeoutError as exc:
        link.end(LinkLost("stalled", "no connection in time"))
        raise LinkLost("stalled", f"no connection within {timeout_s} s") from exc
    except (OSError, hiredis.ReplyError) as exc:
        link.end(LinkLost("connect", repr(exc)))
        raise LinkLost("connect", repr(exc)) from exc
    except BaseException:
        link.end(LinkLost("closed", "nobody waits for it any more"))
        raise
    run_id, reign = _RUN_ID.search(info), _REIGN.search(info)
    if run_id is None or reign is None:
        link.end(LinkLost("connect", "no epoch"))
        raise LinkLost("connect", "INFO names no run_id or master_replid")
    link.epoch = Epoch(run_id=run_id[1], reign=reign[1])
    return link
