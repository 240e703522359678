"""The promise about money, from outside: many at once on a small balance buy exactly what the balance holds."""

import asyncio
from collections import Counter

import pytest

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Stack

CALLS, BALANCE = 200, 50


async def race(client: GatewayClient, model_id: str) -> list[Answer]:
    return await asyncio.gather(*(client.get(model_id, "/chats") for _ in range(CALLS)))


def check_refusals(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.status in {200, 402, 503}, answer.body
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1


async def test_R028_R030_two_hundred_calls_on_fifty_credits_buy_fifty(stack: Stack) -> None:
    poor = await stack.an_organization(credits=BALANCE)
    async with GatewayClient(stack.url, poor.key) as client:
        answers = await race(client, poor.model_id)
        check_refusals(answers)
        afterwards = await stack.until_posted(lambda: client.get(poor.model_id, "/chats"))

    assert Counter(answer.status for answer in answers)[200] == BALANCE
    assert afterwards.status == 402
    assert await stack.debits(poor) == BALANCE
    assert await stack.balance(poor) == 0


@pytest.mark.parametrize("after_ms", [20, 150])
async def test_a_flushed_redis_in_the_middle_never_sells_more(stack: Stack, after_ms: int) -> None:
    poor = await stack.an_organization(credits=BALANCE)
    async with GatewayClient(stack.url, poor.key) as client:
        calls = asyncio.ensure_future(race(client, poor.model_id))
        await asyncio.sleep(after_ms / 1000)
        await stack.flush_redis()
        answers = await calls
        again = await race(client, poor.model_id)
        check_refusals(answers + again)

    paid = sum(answer.status == 200 for answer in answers + again)
    assert paid <= BALANCE
    assert await stack.debits(poor, at_least=paid) == paid
