"""The outgoing HTTP client against servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local import ports
from libs.common.http.client import HttpClient, HttpError, HttpTimeout, HttpTooLarge
from tests.support.raw_server import answer, serving

MAX = 10_000


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = await HttpClient.open(body_bytes_max=MAX)
    yield client
    await client.close()


async def test_what_is_sent_and_what_comes_back(http: HttpClient) -> None:
    asks: list[bytes] = []
    async with serving(answer(b'{"a":1e400}', "Set-Cookie: sid=x; Path=/", "X-Odd: 1"), asks=asks) as url:
        got = await http.request("GET", f"{url}/a?q=%7Bx%7D&r=%2f+", headers={"Cookie": "sid=y"}, timeout_s=5)
    assert (got.status, got.body, dict(got.cookies), got.headers["X-Odd"]) == (200, b'{"a":1e400}', {"sid": "x"}, "1")
    assert asks[0].startswith(b"GET /a?q=%7Bx%7D&r=%2f+ HTTP/1.1\r\n"), "the target is not re-encoded"
    assert b"Cookie: sid=y\r\n" in asks[0]
    assert b"Accept-Encoding: identity\r\n" in asks[0]


async def test_cookies_are_not_kept_and_redirects_not_followed(http: HttpClient) -> None:
    asks: list[bytes] = []
    redirect = answer(b"", "Location: /elsewhere", "Set-Cookie: sid=x", status="302 Found")
    async with serving(redirect, answer(b"{}"), asks=asks) as url:
        assert (await http.request("GET", url, headers={}, timeout_s=5)).status == 302
        await http.request("GET", url, headers={}, timeout_s=5)
    assert len(asks) == 2
    assert b"Cookie" not in asks[1]


@pytest.mark.parametrize("size", [MAX, MAX + 1])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_is_bounded_whether_announced_or_not(http: HttpClient, size: int, is_chunked: bool) -> None:
    body = b"x" * size
    raw = answer(body)
    if is_chunked:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    async with serving(raw) as url:
        if size <= MAX:
            assert (await http.request("GET", url, headers={}, timeout_s=5)).body == body
        else:
            with pytest.raises(HttpTooLarge):
                await http.request("GET", url, headers={}, timeout_s=5)


async def test_a_compressed_answer_is_refused(http: HttpClient) -> None:
    async with serving(answer(b"\x1f\x8b bomb", "Content-Encoding: gzip")) as url:
        with pytest.raises(HttpError, match="compressed"):
            await http.request("GET", url, headers={}, timeout_s=5)


@pytest.mark.parametrize("is_watched", [False, True])
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"not http at all\r\n\r\n"])
async def test_a_lost_connection_may_have_carried_the_request(http: HttpClient, raw: bytes, is_watched: bool) -> None:
    async with serving(raw) as url:
        with pytest.raises(HttpError) as lost:
            await http.request("POST", url, headers={}, body=b"{}", timeout_s=5, is_watched=is_watched)
    assert lost.value.may_have_left


@pytest.mark.parametrize("is_watched", [False, True])
async def test_a_refused_connection_carried_nothing(http: HttpClient, is_watched: bool) -> None:
    (port,) = ports.pick(1)
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(HttpError) as refused:
        await http.request("POST", url, headers={}, body=b"{}", timeout_s=5, is_watched=is_watched)
    assert not refused.value.may_have_left


async def test_a_slow_answer_is_a_timeout_that_may_have_carried_the_request(http: HttpClient) -> None:
    for raw in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"):
        async with serving(raw, stay_s=2.0) as url:
            with pytest.raises(HttpTimeout) as late:
                await http.request("POST", url, headers={}, body=b"{}", timeout_s=0.2, is_watched=True)
            assert late.value.may_have_left


async def test_a_wait_for_a_free_connection_carried_nothing() -> None:
    client = await HttpClient.open(connections_max=1)
    try:
        async with serving(b"", stay_s=2.0) as url:
            busy = asyncio.create_task(client.request("GET", url, headers={}, timeout_s=1))
            await asyncio.sleep(0.05)
            with pytest.raises(HttpTimeout) as late:
                await client.request("POST", url, headers={}, body=b"{}", timeout_s=0.2, is_watched=True)
            assert not late.value.may_have_left
            with pytest.raises(HttpTimeout):
                await busy
    finally:
        await client.close()
