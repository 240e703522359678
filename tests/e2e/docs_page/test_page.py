"""The reference at /docs, as a person's browser meets it."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.edge.entry.surface import Surface
from services.edge.entry.surfaces import SURFACES
from tests.support import browser
from tests.support.stack import Stack

POLICY = "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
COMMITTED = Path(__file__).resolve().parents[3] / "docs/openapi"
PAGES = ["/docs", "/docs/versions", *(f"/docs/{surface.name}" for surface in SURFACES)]

in_a_browser = pytest.mark.skipif(browser.PROGRAM is None, reason="needs Chromium: apt-get install chromium")


def price(cost_credits: int) -> str:
    return {0: "free", 1: "1 credit"}.get(cost_credits, f"{cost_credits} credits")


@in_a_browser
async def test_R042_the_overview_shows_every_route_with_permission_and_price(stack: Stack, tmp_path: Path) -> None:
    async with browser.a_tab(tmp_path) as tab:
        await tab.open(f"{stack.url}/docs")
        rows = await tab.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.innerText)")
        font = await tab.evaluate("getComputedStyle(document.body).fontFamily")

    assert "system-ui" in font, "the stylesheet was not applied"
    for surface in SURFACES:
        for route in surface.routes():
            (row,) = (row for row in rows if f"{route.method} {route.path}\t" in f"{row}\t".replace("\n", "\t"))
            assert (route.permission or "none") in row
            assert row.rstrip().endswith(price(route.cost_credits))


@in_a_browser
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
async def test_R042_every_route_has_a_place_that_names_its_permission(
    stack: Stack, tmp_path: Path, surface: Surface
) -> None:
    async with browser.a_tab(tmp_path) as tab:
        await tab.open(f"{stack.url}/docs/{surface.name}")
        sections = await tab.evaluate(
            "Object.fromEntries([...document.querySelectorAll('section')].map(each => [each.id, each.innerText]))"
        )
    assert set(sections) == {route.name for route in surface.routes()}
    for route in surface.routes():
        text = sections[route.name]
        assert f"{route.method} {route.path}" in text
        assert f"Permission: {route.permission or 'none'}" in text
        assert f"Price: {price(route.cost_credits)}" in text


@in_a_browser
async def test_pages_load_nothing_from_outside_and_run_no_script(stack: Stack, tmp_path: Path) -> None:
    async with browser.a_tab(tmp_path) as tab:
        for page in PAGES:
            await tab.open(stack.url + page)
            assert set(tab.loaded) - {f"{stack.url}/favicon.ico"} == {stack.url + page, f"{stack.url}/docs/style.css"}
            assert await tab.evaluate("document.querySelectorAll('script, iframe, object, embed, img').length") == 0
            links = await tab.evaluate("[...document.querySelectorAll('a, link')].map(each => each.href)")
            assert links
            assert all(link.startswith(stack.url) for link in links)
        assert [each for each in tab.complaints if "favicon" not in each and "404" not in each] == []


async def get(stack: Stack, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    async with (
        aiohttp.ClientSession(stack.url, headers=headers) as session,
        session.request(method, path) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("page", [*PAGES, "/docs/style.css", "/api/openapi.json", "/v1/openapi.json"])
async def test_what_is_known_is_not_sent_again(stack: Stack, page: str) -> None:
    status, headers, body = await get(stack, page)
    assert (status, headers["Cache-Control"]) == (200, "no-cache")
    assert body
    for known in (headers["ETag"], f'"other", W/{headers["ETag"]}', "*"):
        status, again, nothing = await get(stack, page, **{"If-None-Match": known})
        assert (status, nothing, again["ETag"]) == (304, b"", headers["ETag"])
    assert (await get(stack, page, **{"If-None-Match": '"other"'}))[0] == 200


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_allows_nothing_that_it_does_not_need(stack: Stack, page: str) -> None:
    _, headers, body = await get(stack, page)
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Server" not in headers
    assert b"style=" not in body
    status, headers, body = await get(stack, page, "HEAD")
    assert (status, body) == (200, b"")
    status, headers, body = await get(stack, page, "POST")
    assert (status, headers["Allow"], json.loads(body)["code"]) == (405, "GET, HEAD", "METHOD_NOT_ALLOWED")


async def test_what_is_no_page_is_the_apis_404(stack: Stack) -> None:
    for path in ("/docs/", "/docs/other", "/docs/../etc/passwd", "/docsx"):
        status, _, body = await get(stack, path)
        assert (status, json.loads(body)) == (404, {"error": "Not found", "code": "NOT_FOUND"})


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
async def test_the_served_document_is_the_committed_one(stack: Stack, surface: Surface) -> None:
    status, headers, body = await get(stack, f"{surface.prefix}/openapi.json")
    committed = COMMITTED / f"{surface.name}.json"
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == json.loads(committed.read_text(encoding="utf-8"))
