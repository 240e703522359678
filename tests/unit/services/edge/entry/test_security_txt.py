"""`/.well-known/security.txt`: what RFC 9116 wants of it, and that there is none where nobody is named."""

import re
from datetime import datetime, timedelta

import pytest
from aiohttp.test_utils import make_mocked_request

from libs.common.http.server import Answer
from services.edge.entry.security_txt import PATH, SecurityTxt
from services.edge.settings import is_contact
from tests.support.edge import ManualClock

CONTACT = "mailto:security@example.com"


async def read(page: SecurityTxt, method: str = "GET") -> Answer:
    answer = await page(make_mocked_request(method, PATH))
    assert isinstance(answer, Answer)
    return answer


def expiry(body: bytes) -> datetime:
    found = re.search(rb"^Expires: (.+)$", body, flags=re.MULTILINE)
    assert found is not None
    return datetime.fromisoformat(found[1].decode())


async def test_it_says_whom_to_tell_until_when_and_where_it_belongs() -> None:
    clock = ManualClock()
    answer = await read(SecurityTxt(CONTACT, clock, base_url="https://api.example.com/"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert isinstance(answer.body, bytes)
    fields = [line.partition(":")[0] for line in answer.body.decode().splitlines()]
    assert fields == ["Contact", "Expires", "Preferred-Languages", "Canonical"]
    assert f"Contact: {CONTACT}\n".encode() in answer.body
    assert b"Canonical: https://api.example.com/.well-known/security.txt\n" in answer.body


async def test_it_is_never_over_however_long_an_edge_runs() -> None:
    clock = ManualClock()
    page = SecurityTxt(CONTACT, clock, base_url="")
    for _ in range(3):
        body = (await read(page)).body
        assert isinstance(body, bytes)
        assert clock.now() + timedelta(days=170) < expiry(body) < clock.now() + timedelta(days=365)
        clock.advance(400 * 86_400_000)


async def test_it_is_only_read() -> None:
    page = SecurityTxt(CONTACT, ManualClock(), base_url="")
    assert (await read(page, "HEAD")).status == 200
    refused = await read(page, "POST")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (CONTACT, True),
        ("https://example.com/report", True),
        ("http://example.com/report", False),
        ("security@example.com", False),
        ("mailto:a@b\nExpires: 2000-01-01T00:00:00Z", False),
        ("mailto:ä@b", False),
    ],
)
def test_a_contact_is_a_uri_in_one_line(text: str, is_one: bool) -> None:
    assert is_contact(text) is is_one
