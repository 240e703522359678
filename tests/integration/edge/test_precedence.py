"""The order of checks (requirements 3.1): a call that breaks two of them gets the answer of the earlier one, on every surface."""

import pytest

from tests.support.refused import (
    CHECKS,
    KEY,
    KEYED_CHECKS,
    SURFACES,
    Breaker,
    Call,
    ask,
    block_address,
    checks_of,
    refusing_edge,
)

Headers = list[tuple[str, str]]


def number(name: str) -> str:
    return name.split(" ")[0]


@pytest.mark.parametrize(
    ("surface", "earlier"), [(surface, name) for surface in SURFACES for name in checks_of(surface, CHECKS)]
)
async def test_R032_the_earlier_check_answers(redis_url: str, surface: str, earlier: str) -> None:
    await check_order(redis_url, surface, earlier, checks_of(surface, CHECKS), [])


@pytest.mark.parametrize(
    ("surface", "earlier"), [(surface, name) for surface in SURFACES for name in checks_of(surface, KEYED_CHECKS)]
)
async def test_under_an_idempotency_key_the_request_is_read_before_credits_are_asked_for(
    redis_url: str, surface: str, earlier: str
) -> None:
    await check_order(redis_url, surface, earlier, checks_of(surface, KEYED_CHECKS), KEY)


async def check_order(
    redis_url: str, surface: str, earlier: str, checks: dict[str, tuple[Breaker, int, str, int]], headers: Headers
) -> None:
    names = list(checks)
    spoil_earlier, status, code, counted = checks[earlier]
    async with refusing_edge(redis_url) as edge:
        await block_address(edge)
        asked_before = len(edge.sessions.calls)
        for later in [None, *names[names.index(earlier) + 1 :]]:
            if later is not None and (
                number(later) == number(earlier) or {number(earlier), number(later)} == {"14", "15"}
            ):
                continue  # one row, or one answer of the platform's side: there is no later one to hide
            call = Call(headers=list(headers))
            if later is not None:
                checks[later][0](call)
            spoil_earlier(call)
            answer = await ask(edge, surface, call)
            assert (answer.status, answer.code) == (status, code), (later, answer.body)
            # A full window counts no more, also where an earlier check answers.
            assert answer.calls_counted == (0 if later == "8 window" else counted), later
            assert answer.credits_left == call.credits, later
        if float(number(earlier).rstrip("ab")) < 12:
            assert len(edge.sessions.calls) == asked_before


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("headers", [[], KEY], ids=["plain", "keyed"])
async def test_R032_the_unbroken_call_passes(redis_url: str, surface: str, headers: Headers) -> None:
    async with refusing_edge(redis_url) as edge:
        answer = await ask(edge, surface, Call(headers=list(headers)))
    assert (answer.status, answer.calls_counted, answer.credits_left) == (200, 1, 8)
