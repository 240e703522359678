"""How a server leaves: clients are told by their answers, new ones are still taken, and nobody waits for an empty house."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from libs.common.http.server import FAREWELL_SECONDS, Answer, HttpServer

DRAIN_S = 30.0
SLOW = "/slow"


def bad_http(_status: int) -> web.StreamResponse:
    raise AssertionError


class House:
    """A server whose requests to `/slow` wait for `release`."""

    def __init__(self) -> None:
        self.release, self.entered = asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.path == SLOW:
            self.entered.set()
            await self.release.wait()
        return Answer(status=200, body=b"{}", headers=CIMultiDict({"Content-Type": "application/json"}))

    async def start(self) -> HttpServer:
        return await HttpServer.start(self.handle, on_bad_http=bad_http, host="127.0.0.1", port=0, drain_s=DRAIN_S)


async def test_a_leaving_server_closes_connections_by_its_answers_and_takes_new_ones() -> None:
    server = await House().start()
    url = f"http://127.0.0.1:{server.port}/"
    async with aiohttp.ClientSession() as idle, aiohttp.ClientSession() as known:
        async with idle.get(url), known.get(url) as answer:
            assert "Connection" not in answer.headers
        closing = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        async with known.get(url) as answer:  # on the connection it had
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        async with aiohttp.ClientSession() as stranger, stranger.get(url) as answer:
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        await closing
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as late, late.get(url):
            pass


async def test_what_is_in_flight_is_answered_and_an_idle_connection_holds_nobody_up_for_long() -> None:
    house = House()
    server = await house.start()
    url = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession() as idle, aiohttp.ClientSession() as busy:
        async with idle.get(url + "/"):
            pass
        asking = asyncio.create_task(busy.get(url + SLOW))
        await house.entered.wait()
        closing = asyncio.create_task(server.close())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(closing), FAREWELL_SECONDS + 0.5)  # it waits for the one in flight
        house.release.set()
        assert (await asking).status == 200
        await closing


@pytest.mark.alone  # it measures time
async def test_with_nobody_there_it_leaves_at_once() -> None:
    server = await House().start()
    started = time.monotonic()
    await server.close()
    await server.close()  # idempotent
    assert time.monotonic() - started < FAREWELL_SECONDS
