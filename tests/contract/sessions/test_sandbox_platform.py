"""The sandbox keeps what the catalogue promises: every route on every upstream path, pages, writes that last, odd bytes."""

import json
from typing import Any

import aiohttp
import pytest

from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from services.sessions.sandbox.routes import HANDLERS, paths_of
from tests.support.sandbox import Sandbox, signed_in

PATHS = [(route, path) for route in catalogue().values() for path in paths_of(route)]
PARAMETERS = {"part": "1", "upload_id": "upload-1"}
BODY = {"text": "hello", "name": "a name"}


def concrete(template: str) -> str:
    parts = [part[1:-1] if part.startswith("{") else None for part in template.split("/")]
    return "/".join(
        part if name is None else PARAMETERS.get(name, "1001")
        for part, name in zip(template.split("/"), parts, strict=True)
    )


def test_every_route_of_the_catalogue_is_served() -> None:
    assert set(HANDLERS) == set(catalogue())
    assert len(HANDLERS) == 60


@pytest.mark.parametrize(("route", "path"), PATHS, ids=[f"{route.name}{path}" for route, path in PATHS])
async def test_a_route_answers_2xx_with_json(browser: aiohttp.ClientSession, route: CatalogueRoute, path: str) -> None:
    body = None if route.method in {"GET", "DELETE"} else BODY
    async with browser.request(route.method, concrete(path), json=body) as answer:
        text = await answer.text()
    assert 200 <= answer.status < 300, text
    assert (answer.status == 204) == (text == "")
    if text:
        json.loads(text)


@pytest.mark.parametrize(("route", "path"), PATHS, ids=[f"{route.name}{path}" for route, path in PATHS])
async def test_a_stranger_gets_401(sandbox: Sandbox, route: CatalogueRoute, path: str) -> None:
    async with (
        aiohttp.ClientSession(sandbox.url) as stranger,
        stranger.request(route.method, concrete(path), json=BODY) as answer,
    ):
        assert answer.status == 401


LISTS = [
    route for route in catalogue().values()
    if route.method == "GET" and route.name.rsplit("_", 1)[-1] in {"list", "media", "members"} | {"requests", "transactions"}
]  # fmt: skip


@pytest.mark.parametrize("route", LISTS, ids=[route.name for route in LISTS])
async def test_pages_join_without_gap_or_overlap(browser: aiohttp.ClientSession, route: CatalogueRoute) -> None:
    path = concrete(paths_of(route)[0])
    by_page: list[Any] = []
    page, more = 1, True
    while more:
        body = await _get(browser, f"{path}?page={page}&size=50")
        by_page += body["data"]
        page, more = page + 1, body["pagination"]["hasMore"]
    by_cursor: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        body = await _get(browser, f"{path}?cursor={cursor}&size=33")
        by_cursor += body["data"]
        cursor = body["nextCursor"]
    assert by_page == by_cursor
    assert len({json.dumps(item) for item in by_page}) == len(by_page)


@pytest.mark.parametrize("query", ["page=0", "page=x", "size=51", "size=0", "cursor=zz"])
async def test_a_page_that_does_not_exist_is_400(browser: aiohttp.ClientSession, query: str) -> None:
    async with browser.get(f"/chats?{query}") as answer:
        assert answer.status == 400


async def test_the_same_request_gives_the_same_bytes_in_every_process(sandbox: Sandbox) -> None:
    bodies = []
    for _ in range(2):
        async with signed_in(sandbox, "someone@sandbox.test") as one, one.get("/chats/1001/messages") as answer:
            bodies.append(await answer.read())
        sandbox.world.__init__()  # type: ignore[misc]  # as after a restart
    assert bodies[0] == bodies[1]


async def test_two_accounts_see_different_data(sandbox: Sandbox) -> None:
    async with signed_in(sandbox, "a@sandbox.test") as a, signed_in(sandbox, "b@sandbox.test") as b:
        assert await _get(a, "/chats") != await _get(b, "/chats")


async def test_the_bytes_are_as_odd_as_those_of_real_platforms(browser: aiohttp.ClientSession) -> None:
    raw = b""
    for path in ("/users/me", "/earnings/overview", "/chats/1001/messages", "/earnings/chart", "/media"):
        async with browser.get(path) as answer:
            raw += await answer.read()
    for oddity in (
        b"1e400",
        b"12345678901234567890",
        b"\\u0000",
        b"\\ud834\\udd1e",
        b'"all_time":0',
        b'" : ',
        b":\t",
        b"E0",
    ):
        assert oddity in raw, oddity
    assert raw.count(b'"id" : ') > 1


async def test_writes_are_seen_by_later_reads(browser: aiohttp.ClientSession) -> None:
    sent = await _post(browser, "/chats/1005/messages", {"text": "read me"})
    assert (await _get(browser, "/chats/1005/messages?size=1"))["data"][0]["text"] == "read me"
    await _delete(browser, f"/messages/{sent['id']}")
    assert (await _get(browser, "/chats/1005/messages?size=1"))["data"][0]["id"] != sent["id"]
    await _delete(browser, f"/messages/{sent['id']}", status=404)

    made = await _post(browser, "/lists", {"name": "new ones"})
    await _post(browser, f"/lists/{made['id']}/members", {"userIds": [1002, "1003"]}, status=200)
    assert [fan["id"] for fan in (await _get(browser, f"/lists/{made['id']}/members"))["data"]] == [1002, 1003]

    link = await _post(browser, "/tracking-links", {"name": "autumn"})
    assert (await _get(browser, f"/tracking-links/{link['id']}"))["name"] == "autumn"
    post = await _post(browser, "/creators/1002/chats/1001/message", {"text": "for a creator"})
    assert (await _get(browser, "/creators/1002/chats/1001/messages"))["data"][0]["id"] == post["id"]
    assert (await _get(browser, "/chats/1001/messages"))["data"][0]["id"] != post["id"]


async def test_what_is_not_there_is_404_and_what_is_wrong_is_422(browser: aiohttp.ClientSession) -> None:
    for path in ("/chats/999/messages", "/posts/1", "/tracking-links/1", "/creators/1/chats", "/lists/1/members"):
        async with browser.get(path) as answer:
            assert answer.status == 404, path
    async with browser.post("/chats/1001/messages", json={"text": "  "}) as answer:
        assert answer.status == 422
    async with browser.post("/posts", data=b"{not json", headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400


async def _get(browser: aiohttp.ClientSession, path: str) -> Any:
    async with browser.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return json.loads(await answer.read())


async def _post(browser: aiohttp.ClientSession, path: str, body: dict[str, Any], *, status: int = 201) -> Any:
    async with browser.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return json.loads(await answer.read())


async def _delete(browser: aiohttp.ClientSession, path: str, *, status: int = 204) -> None:
    async with browser.delete(path) as answer:
        assert answer.status == status
