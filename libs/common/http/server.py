"""An HTTP/1.1 server for one handler function, hardened: limits on lines and headers, JSON for the parser's own errors,
no `Server` header, no access log, a drain that sends clients elsewhere before it lets started work finish.

Routing, credentials and statuses are the handler's business (`services/edge/entry`); it must answer every request and
raise nothing. Floor of aiohttp: 3.14.4 (GHSA-2g87-pp6c-29x5 and a dozen older parser faults).
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self

import aiohttp
from aiohttp import http_parser, web

from libs.common.http.protocol import Answer, OnBadHttp, Protocol

AIOHTTP_FLOOR: Final = (3, 14, 4)
KEEPALIVE_SECONDS: Final = 75.0  # above the idle time of balancers (60 s), so that they close first (aiohttp#9138)
LINE_BYTES_MAX: Final = 8190
FIELD_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 128
LINGER_SECONDS: Final = 2.0  # how long an unread body is drained, so that the client can read our refusal
BACKLOG: Final = 1024
FAREWELL_SECONDS: Final = 3.0  # how long a drain closes connections by its answers only, before it stops listening
FAREWELL_SHARE: Final = 0.2  # of the whole drain at most: a short one is for what is in flight
LOOK_SECONDS: Final = 0.02

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def assert_hardened() -> None:
    """Refuse to start on an aiohttp below the floor or without its C parser (the Python one is laxer and slower)."""
    version = tuple(int(part) for part in aiohttp.__version__.split(".")[:3])
    if version < AIOHTTP_FLOOR:
        raise RuntimeError(f"aiohttp {aiohttp.__version__} is below the floor {AIOHTTP_FLOOR}")
    if os.environ.get("AIOHTTP_NO_EXTENSIONS") or http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        raise RuntimeError("aiohttp runs without its C parser: install a wheel and unset AIOHTTP_NO_EXTENSIONS")


class HttpServer:
    """A listening server; `port` is the one it got when asked for port 0."""

    def __init__(
        self, runner: web.ServerRunner, site: web.TCPSite, port: int, server: "_Server", farewell_s: float
    ) -> None:
        self._runner = runner
        self._site = site
        self._server = server
        self._farewell_s = farewell_s
        self._is_closed = False
        self.port = port

    @classmethod
    async def start(
        cls,
        handler: Handler,
        *,
        on_bad_http: OnBadHttp,
        host: str,
        port: int,
        drain_s: float,
        reuse_port: bool = False,
    ) -> Self:
        """Listen on `host:port`. `drain_s` bounds how long `close` takes, requests in flight included. Raises OSError."""
        assert_hardened()
        server = _Server(
            handler,
            on_bad_http=on_bad_http,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,  # a gzip bomb of 204 kB became 200 MiB; encoded bodies are refused instead
            lingering_time=LINGER_SECONDS,
        )
        farewell_s = min(FAREWELL_SECONDS, FAREWELL_SHARE * drain_s)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain_s - farewell_s)
        await runner.setup()
        site = web.TCPSite(runner, host=host, port=port, backlog=BACKLOG, reuse_port=reuse_port or None)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, site, int(runner.addresses[0][1]), server, farewell_s)

    @property
    def connection_count(self) -> int:
        """Open client connections."""
        return len(self._server.connections)

    async def close(self) -> None:
        """Tell clients to go, stop listening, let requests in flight finish. Idempotent.

        For a few seconds every answer closes its connection while new ones are still taken: a connection closed under a client
        that is about to use it is a failed call, and balancers need a moment to hear that this process is not ready. Ends at
        once when nobody is connected.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._server.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._farewell_s):
                while self._server.connections:  # noqa: ASYNC110 - aiohttp tells nobody when the last one is gone
                    await asyncio.sleep(LOOK_SECONDS)
        await self._runner.cleanup()


class _Server(web.Server):
    """Makes protocols that answer in our words. `handler_cancellation` stays off: money is in flight."""

    def __init__(self, handler: Handler, *, on_bad_http: OnBadHttp, **kwargs: Any) -> None:
        super().__init__(handler, handler_cancellation=False, **kwargs)
        self._on_bad_http = on_bad_http

    def __call__(self) -> web.RequestHandler:
        return Protocol(self, on_bad_http=self._on_bad_http, loop=asyncio.get_running_loop(), **self._kwargs)

    def leave(self) -> None:
        """From now on an answer is the last one of its connection. Another handler in place of a check: requests pay nothing."""
        handler: Handler = self.request_handler

        async def last(request: web.BaseRequest) -> web.StreamResponse:
            answer = await handler(request)
            answer.force_close()
            return answer

        self.request_handler = last
        for protocol in self.connections:
            assert isinstance(protocol, Protocol)
            protocol.handle_by(last)


__all__ = ["Answer", "HttpServer", "assert_hardened"]
