"""Bytes for everybody: 200 with an ETag, 304 to whoever has them."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from libs.common.http.server import Answer
from libs.common.ids import uuid7
from services.edge.domain.refusal import Refusal
from services.edge.domain.versions import Versions
from services.edge.entry.docs import DocsPages
from services.edge.entry.front import Front
from services.edge.entry.published import Published
from services.edge.entry.surfaces import SURFACES

PAGE = Published(b"<p>hello</p>", "text/html", {"X-Own": "1"})


def test_it_is_sent_with_its_headers() -> None:
    answer = PAGE.answer(make_mocked_request("GET", "/docs"), request_id := uuid7())
    assert (answer.status, answer.body) == (200, PAGE.body)
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["X-Own"] == "1"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Request-Id"] == str(request_id)


def test_other_bytes_have_another_tag() -> None:
    assert Published(b"a", "text/plain").etag != Published(b"b", "text/plain").etag


@pytest.mark.parametrize(
    ("known", "status"),
    [(f'"{PAGE.etag}"', 304), (f'W/"{PAGE.etag}"', 304), ("*", 304), ('"other"', 200), (PAGE.etag, 200), ("", 200)],
)
def test_who_has_it_is_told_so(known: str, status: int) -> None:
    answer = PAGE.answer(make_mocked_request("GET", "/docs", headers={"If-None-Match": known}), uuid7())
    assert answer.status == status
    assert bool(answer.body) is (status == 200)
    assert ("Content-Type" in answer.headers) is (status == 200)


class Pages:
    """Pages below a prefix that say whose they are."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.method == "GET"
        return web.Response(text=self.prefix)


async def test_the_front_gives_each_path_to_whom_it_belongs() -> None:
    docs = DocsPages(SURFACES, Versions.with_dates(""))
    front = Front(Pages("edge"), links=[Pages("/connect/"), Pages("/join/")], docs=docs)
    owners = {"/connect/x": "/connect/", "/join/x": "/join/", "/api/keys": "edge", "/docsx": "edge", "/docs/": "edge"}
    for path, owner in owners.items():
        answer = await front(make_mocked_request("GET", path))
        assert isinstance(answer, web.Response)
        assert answer.text == owner
    for path in docs.paths:
        assert (await front(make_mocked_request("GET", path))).status == 200


async def test_a_page_is_only_read() -> None:
    answer = await DocsPages(SURFACES, Versions.with_dates(""))(make_mocked_request("DELETE", "/docs"))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.body == SURFACES[0].failure(Refusal("METHOD_NOT_ALLOWED"))
