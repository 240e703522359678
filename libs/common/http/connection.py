"""One connection to one server, one exchange at a time: bytes out, a whole answer in. aiohttp's C parser reads the answer; its
client would cost twice the rest of an exchange (measured: 75 of 155 µs of a proxied call).

Which connection is used, and for how long, is decided in `client.py`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs
from aiohttp._cookie_helpers import parse_set_cookie_headers  # more lenient than the standard library's
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader

from libs.common.deadlines import Deadlines

FIELD_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 128
SWITCHING_PROTOCOLS: Final = 101


class HttpError(Exception):
    """The exchange did not end with a usable answer. `may_have_left` False = not one byte of the request was sent."""

    def __init__(self, detail: str, *, may_have_left: bool) -> None:
        self.may_have_left = may_have_left
        super().__init__(detail)


class HttpTimeout(HttpError):
    """No whole answer in time."""


class HttpTooLarge(HttpError):
    """The answer's body is over the cap."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. `cookies` are those it set."""

    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """An open connection. `on_lost` is called once, when it ends."""

    def __init__(self, *, body_bytes_max: int, deadlines: Deadlines, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._body_bytes_max = body_bytes_max
        self._deadlines = deadlines
        self._on_lost = on_lost
        # Its limit would stop the reading where nobody reads before the end: ours is checked as bytes come in.
        self._parser = HttpResponseParser(
            self, self._loop, 2 * body_bytes_max, read_until_eof=True, auto_decompress=False,  # type: ignore[arg-type]
            max_line_size=FIELD_BYTES_MAX, max_field_size=FIELD_BYTES_MAX, max_headers=HEADERS_MAX,
        )  # fmt: skip
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._head: RawResponseMessage | None = None
        self._body: StreamReader | None = None
        self.is_open = False
        self.idle_since_s = 0.0  # of the loop's clock

    async def exchange(self, request: bytes, *, timeout_s: float) -> HttpAnswer:
        """Send `request` and wait for its answer; afterwards the connection can be used again if it `is_open`.

        Raises HttpTimeout, HttpTooLarge, HttpError; then, or when cancelled, the connection is closed.
        """
        if not self.is_open or self._transport is None:
            raise HttpError("the connection was closed", may_have_left=False)
        self._answer = self._loop.create_future()
        due = self._deadlines.add(self, timeout_s)
        self._transport.write(request)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._answer = None
            due.discard(self)

    def close(self) -> None:
        """End it, whatever is under way."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """The exchange has lasted too long."""
        self._fail(HttpTimeout("no whole answer in time", may_have_left=True))

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses of asyncio's
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # bytes that nobody asked for, or that come too late
            return
        try:
            heads, is_upgraded, _ = self._parser.feed_data(data)
        except HttpProcessingError as exc:
            self._fail(HttpError(f"not an HTTP answer: {type(exc).__name__}", may_have_left=True))
            return
        for head, body in heads:
            if self._head is not None:
                self.is_open = False  # a second answer to one request: what follows belongs to nobody
            elif head.code >= 200 or head.code == SWITCHING_PROTOCOLS:  # others only announce the answer
                self._head, self._body = head, body
        if is_upgraded:
            self._fail(HttpError("the server changed the protocol", may_have_left=True))
        elif self._head is not None and self._body is not None:
            self._look(self._head, self._body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            try:
                self._parser.feed_eof()  # ends a body that has no announced length
            except PayloadEncodingError as cut_short:
                exc = cut_short
            if exc is None and self._head is not None and self._body is not None and self._body.is_eof():
                self._look(self._head, self._body)
            else:
                lost = type(exc).__name__ if exc is not None else "closed by the server"
                self._fail(HttpError(f"connection lost: {lost}", may_have_left=True))
        self._on_lost(self)

    # what the parser calls when nobody reads a body: the cap bounds it

    def pause_reading(self) -> None:
        """Bodies are read at their end."""

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """See `pause_reading`."""

    def _look(self, head: RawResponseMessage, body: StreamReader) -> None:
        """The answer as far as it is here: refuse it, or give it to who waits once it is whole."""
        assert self._answer is not None, "only asked answers are looked at"
        encoding = head.headers.get(hdrs.CONTENT_ENCODING)
        if encoding is not None and encoding.lower() != "identity":
            self._fail(HttpError("the answer is compressed, though we asked for none", may_have_left=True))
            return
        announced = head.headers.get(hdrs.CONTENT_LENGTH)
        if body.total_bytes > self._body_bytes_max or (announced is not None and int(announced) > self._body_bytes_max):
            self._fail(HttpTooLarge(f"a body of over {self._body_bytes_max} bytes", may_have_left=True))
            return
        if not body.is_eof():
            return
        self._head = self._body = None
        if head.should_close:
            self.close()
        self._answer.set_result(HttpAnswer(head.code, head.headers, _cookies(head), body.read_nowait()))

    def _fail(self, error: HttpError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()


def _cookies(head: RawResponseMessage) -> Mapping[str, str]:
    """The cookies that an answer sets."""
    if hdrs.SET_COOKIE not in head.headers:
        return {}
    return {name: morsel.value for name, morsel in parse_set_cookie_headers(head.headers.getall(hdrs.SET_COOKIE))}
