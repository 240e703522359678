"""aiohttp's protocol of a server connection, with a short way for the plain exchange: a request that has arrived whole, on a
connection that stays, answered in one piece. aiohttp gives each a task and three turns of the event loop (measured: 37 of
120 µs of a proxied call).

All else (a body that is still arriving, HEAD, HTTP/1.0, `Connection: close`, an upgrade, what is no HTTP) is aiohttp's: its
own loop takes the connection over, for good.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from multidict import CIMultiDict

from libs.common.telemetry.trace import current_traceparent

OnBadHttp = Callable[[int], web.StreamResponse]  # the answer to what is not HTTP (400) or crashed below us (500)
ONE_PIECE_BYTES_MAX: Final = 64 << 10  # head and body are copied together up to here: one write instead of two
_WITHOUT_BODY: Final = frozenset({204, 304})


class Answer(web.Response):
    """A response that does not name the software. `headers` must carry the content type and are used as they are."""

    def __init__(self, *, status: int, body: bytes, headers: CIMultiDict[str]) -> None:
        super().__init__(status=status, body=body, headers=headers)

    @property
    def is_plain(self) -> bool:
        """Whether nothing was asked of it beyond what it was made with."""
        return (
            self._keep_alive is None
            and self._cookies is None
            and not self._chunked
            and not self._compression
            and self._status not in _WITHOUT_BODY
        )

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self._headers["Server"]  # aiohttp sets it by default just above


class Protocol(web.RequestHandler):
    """One connection. Handlers raise nothing, and set the context that they use."""

    __slots__ = ("_on_bad_http",)

    def __init__(self, manager: web.Server, *, on_bad_http: OnBadHttp, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._on_bad_http = on_bad_http

    def handle_by(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        """Another handler for the requests to come; what is in flight stays with its own."""
        self._request_handler = handler

    async def start(self) -> None:
        """Answer plain requests until the connection ends, or hand it over to aiohttp's loop."""
        while not self._force_close:
            if not self._messages:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            if not _is_plain(*self._messages[0]):
                await super().start()
                return
            if not await self._exchange():
                break
            # aiohttp's timer of idle connections looks at this.
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _exchange(self) -> bool:
        """Take the next message and answer it; whether the connection can be used again."""
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        manager, factory, handler = self._manager, self._request_factory, self._request_handler
        if manager is None or factory is None or handler is None:
            return False  # the connection was lost meanwhile
        manager.requests_count += 1
        assert self._task_handler is not None, "it runs this"
        assert isinstance(message, RawRequestMessage), "a plain one"
        current_traceparent.set("")  # of the request before
        request = factory(message, payload, self, StreamWriter(self, self._loop), self._task_handler)
        self._request_in_progress = True
        self._current_request = request
        try:
            try:
                answer = await handler(request)
            except Exception as exc:
                answer = self.handle_error(request, 500, exc)
            finally:
                self._current_request = None
            if isinstance(answer, Answer) and answer.is_plain:
                return await self._write(answer)
            answer, is_reset = await self.finish_response(request, answer, None)
            self._keepalive = bool(answer.keep_alive)
            return self._keepalive and not is_reset
        except ConnectionError:
            return False
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as exc:  # an answer that cannot be written
            self.log_exception("unhandled error while answering", exc_info=exc)
            self.force_close()
            return False
        finally:
            request._task = None  # type: ignore[assignment]  # noqa: SLF001 - a cycle, if this ends with an error
            self._request_in_progress = False
            if self._handler_waiter is not None:  # who drains the server waits for us
                self._handler_waiter.set_result(None)

    async def _write(self, answer: Answer) -> bool:
        """A whole answer, as one write if it is not large. Raises ConnectionError."""
        transport, body = self.transport, answer.body
        if transport is None:
            return False  # the client has gone
        assert isinstance(body, bytes), "as it was made"
        head = _head(answer, len(body))
        if len(body) <= ONE_PIECE_BYTES_MAX:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        self._keepalive = True
        if self._paused:
            await self._drain_helper()
        return not self._close

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the parser's words quote the attacker's bytes: not repeated
    ) -> web.StreamResponse:
        """Answer what never reached the handler, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, a second one cannot follow") from exc
        if status >= 500:
            self.logger.error("unhandled error below the handler", exc_info=exc)
        answer = self._on_bad_http(status)
        answer.force_close()
        return answer


def _is_plain(message: object, payload: StreamReader) -> bool:
    return (
        isinstance(message, RawRequestMessage)
        and payload.is_eof()
        and message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and message.method != hdrs.METH_HEAD
    )


def _head(answer: Answer, body_bytes: int) -> bytes:
    """Status line and headers. Raises ValueError for a header that would end its line early."""
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += (f"Content-Length: {body_bytes}", f"Date: {rfc822_formatted_time()}", "", "")
    head = "\r\n".join(lines)
    if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1:
        raise ValueError("a line break in a header")
    return head.encode()
