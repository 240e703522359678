"""Answers in chunks over a real socket: whole, or visibly cut off."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from libs.common.http.server import HttpServer
from services.edge.domain.refusal import Refusal
from services.edge.entry import streams
from services.edge.entry.streams import send


async def chunks(number: int, *, fails: bool = False) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * 1_000
    if fails:
        raise Refusal("UNAVAILABLE")


async def read_all(source: AsyncIterator[bytes]) -> tuple[int, bytes]:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await send(request, CIMultiDict({"Content-Type": "text/csv", "X-Request-Id": "1"}), source)

    def bad_http(_status: int) -> web.StreamResponse:
        raise AssertionError

    server = await HttpServer.start(handler, on_bad_http=bad_http, host="127.0.0.1", port=0, drain_s=1)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{server.port}/") as answer,
        ):
            assert "Server" not in answer.headers
            return answer.status, await answer.read()
    finally:
        await server.close()


async def test_all_chunks_arrive() -> None:
    assert await read_all(chunks(300)) == (200, b"x" * 300_000)


async def test_what_fails_half_way_is_not_mistaken_for_a_whole_answer() -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await read_all(chunks(300, fails=True))


async def test_a_source_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    monkeypatch.setattr(streams, "STREAM_SECONDS_MAX", 0.2)
    with pytest.raises(aiohttp.ClientPayloadError):
        await read_all(slow())
