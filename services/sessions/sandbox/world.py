"""Everything one sandbox process holds, and the ways in which its answers go wrong on demand."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from services.sessions.sandbox.bearer import Bearers
from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.counts import CallBook
from services.sessions.sandbox.faults import Fault, FaultBook
from services.sessions.sandbox.grants import Grants
from services.sessions.sandbox.rendering import STYLES, render
from services.sessions.sandbox.signin import SignIn

JSON: Final = "application/json"
_GARBAGE: Final = b"\x00\xff<<< not {json"
_PAGE: Final = b"<!doctype html><title>Just a moment</title><p>Please wait while we check your browser."
_CHUNK: Final = b" " * 65_536


class World:
    """The state of one sandbox process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.signin = SignIn(now)
        self.grants = Grants(now)
        self.bearers = Bearers(self.grants, time.time)
        self.faults = FaultBook()
        self.calls = CallBook()


def refusal(error: PlatformError) -> web.Response:
    """A platform's error answer."""
    body = {"error": {"code": error.code, "message": error.message}}
    return web.Response(status=error.status, body=render(body, STYLES[0]), content_type=JSON)


def refusal_by(fault: Fault) -> web.Response | None:
    """The answer of a fault that replaces the call's own, without any effect of the call; None for other faults."""
    if fault.retry_after_s:
        answer = refusal(PlatformError(429, "rate_limited", "Too many requests"))
        answer.headers["Retry-After"] = str(fault.retry_after_s)
        return answer
    if fault.status is not None:
        if fault.body is not None:
            return web.Response(status=fault.status, body=fault.body.encode(), content_type=JSON)
        return refusal(PlatformError(fault.status, "fault", f"The sandbox was told to answer {fault.status}"))
    return None


async def spoil(world: World, request: web.Request, route: str, account: int | None) -> web.StreamResponse | None:
    """Take the fault of a sign-in call: its answer, or None when the call may go on (perhaps later)."""
    fault = world.faults.take(route, account)
    if fault.drop:
        return hang_up(request)
    await asyncio.sleep(fault.delay_ms / 1000)
    return refusal_by(fault) or await spoiled_answer(request, fault)


def hang_up(request: web.Request) -> web.Response:
    """End the connection at once, without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # nobody can read it any more


async def spoiled_answer(
    request: web.Request, fault: Fault, good: bytes = b'{"half":"of it"}'
) -> web.StreamResponse | None:
    """The broken answer that a fault asks for; None when it asks for none."""
    if fault.garbage:
        return web.Response(body=_GARBAGE, content_type=JSON)
    if fault.html:
        return web.Response(body=_PAGE, content_type="text/html")
    if fault.too_large:
        return await _too_large(request, fault.too_large_bytes)
    if fault.half_body:
        answer = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": str(max(2, len(good)))})
        await answer.prepare(request)
        await answer.write(good[: max(1, len(good) // 2)])
        hang_up(request)
        return answer
    return None


async def _too_large(request: web.Request, size: int) -> web.StreamResponse:
    """A body of `size` bytes, valid JSON, sent in chunks: no length is announced."""
    answer = web.StreamResponse(headers={"Content-Type": JSON})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    await answer.write(b"[")
    left = size - 2
    while left > 0:
        await answer.write(_CHUNK[:left])
        left -= len(_CHUNK)
    await answer.write(b"]")
    return answer
