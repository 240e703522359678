"""An HTTP/1.1 server for one handler function, hardened: limits on lines and headers, JSON for the parser's own errors,
no `Server` header, no access log, a drain that lets started work finish.

Routing, credentials and statuses are the handler's business (`services/edge/entry`); it must answer every request and
raise nothing. Floor of aiohttp: 3.14.4 (GHSA-2g87-pp6c-29x5 and a dozen older parser faults).
"""

import asyncio
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

    def __init__(self, runner: web.ServerRunner, site: web.TCPSite, port: int, server: "_Server") -> None:
        self._runner = runner
        self._site = site
        self._server = server
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
        """Listen on `host:port`. `drain_s` bounds how long `close` waits for requests in flight. Raises OSError."""
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
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain_s)
        await runner.setup()
        site = web.TCPSite(runner, host=host, port=port, backlog=BACKLOG, reuse_port=reuse_port or None)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, site, int(runner.addresses[0][1]), server)

    @property
    def connection_count(self) -> int:
        """Open client connections."""
        return len(self._server.connections)

    async def close(self) -> None:
        """Stop listening, close idle connections, let requests in flight finish within `drain_s`. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            await self._runner.cleanup()


class _Server(web.Server):
    """Makes protocols that answer in our words. `handler_cancellation` stays off: money is in flight."""

    def __init__(self, handler: Handler, *, on_bad_http: OnBadHttp, **kwargs: Any) -> None:
        super().__init__(handler, handler_cancellation=False, **kwargs)
        self._on_bad_http = on_bad_http

    def __call__(self) -> web.RequestHandler:
        return Protocol(self, on_bad_http=self._on_bad_http, loop=asyncio.get_running_loop(), **self._kwargs)


__all__ = ["Answer", "HttpServer", "assert_hardened"]
