"""A platform's answer as ours: every status there can be ends in a documented one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.domain.refusal import CODES
from services.edge.domain.upstream import TEXT_CHARACTERS_MAX, Upstream, platform_text, refusal_of


@given(status=st.integers(100, 599).filter(lambda status: not 200 <= status < 300), body=st.binary(max_size=200))
def test_every_status_and_every_body_becomes_a_documented_refusal(status: int, body: bytes) -> None:
    refusal = refusal_of(Upstream(status, body))
    assert refusal.code in CODES
    assert refusal.status in {400, 403, 404, 409, 424, 502, 503}
    assert refusal.public
    assert (refusal.retry_after_s > 0) == (refusal.status == 503)


@pytest.mark.parametrize(("wish", "told"), [(None, 1), (0, 1), (-5, 1), (30, 30), (10**9, 3_600)])
def test_retry_after_of_the_platform_is_bounded(wish: int | None, told: int) -> None:
    assert refusal_of(Upstream(429, b"", retry_after_s=wish)).retry_after_s == told


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"a"}', "a"),
        (b'{"message":"b","code":3}', "b"),
        (b'{"error":{"message":"c"}}', "c"),
        (b'{"error":["d","e"]}', "d"),
        (b'{"error":""}', ""),
        (b'{"error":5}', ""),
        (b'"f"', "f"),
        (b"[]", ""),
        (b"<html>", ""),
        (b"", ""),
        (b'{"error":"' + b"x" * 9_000 + b'"}', "x" * TEXT_CHARACTERS_MAX),
        (b'{"error":"' + b"x" * 90_000 + b'"}', ""),
        (b"[" * 60_000, ""),
    ],
)
def test_the_platforms_own_text(body: bytes, text: str) -> None:
    assert platform_text(body) == text
