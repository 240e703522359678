"""SIGKILL of any one service while calls are coming in: nothing lost, nothing charged twice, and the system heals.

The money check: every 2xx a client saw is in the ledger exactly once; a call that got no answer (its connection died with the
edge) may be there once or not at all; every refusal costs nothing.
"""

import asyncio
from collections import Counter

import aiohttp
import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

WORKERS = 8
BEFORE_S, AFTER_S = 1.0, 4.0  # load before the kill, and after it
NO_ANSWER = 0


async def keep_calling(client: GatewayClient, model_id: str, stop: asyncio.Event, seen: Counter[int]) -> None:
    while not stop.is_set():
        try:
            answer = await client.get(model_id, "/chats")
        except (aiohttp.ClientError, TimeoutError):
            seen[NO_ANSWER] += 1
            await asyncio.sleep(0.05)
            continue
        seen[answer.status] += 1
        if answer.status != 200:
            await asyncio.sleep(0.02)


async def load_with_a_kill(stack: Stack, organization: Organization, service: str) -> Counter[int]:
    seen: Counter[int] = Counter()
    stop = asyncio.Event()
    async with GatewayClient(stack.url, organization.key) as client:
        workers = [asyncio.create_task(keep_calling(client, organization.model_id, stop, seen)) for _ in range(WORKERS)]
        await asyncio.sleep(BEFORE_S)
        await stack.kill(service)
        await asyncio.sleep(AFTER_S)
        await stack.until_ready()
        stop.set()
        await asyncio.gather(*workers)
    return seen


@pytest.mark.parametrize("service", ["auth", "billing", "sessions", "edge"])
async def test_a_killed_service_loses_and_doubles_nothing(stack: Stack, service: str) -> None:
    # given an organization with a generous window, so that the load is not limited away
    organization = await stack.an_organization(credits=50_000, plan="enterprise")

    # when
    seen = await load_with_a_kill(stack, organization, service)

    # then the ledger holds what the clients saw, and no more than the unanswered calls beyond it
    paid = seen[200]
    assert paid > 0
    assert set(seen) <= {NO_ANSWER, 200, 502, 503, 504}, seen
    if service != "edge":
        assert seen[NO_ANSWER] == 0
    debited = await stack.debits(organization, at_least=paid)
    assert paid <= debited <= paid + seen[NO_ANSWER]

    # and it is in order, and the next call works
    assert await stack.ledger_is_sound(organization)
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await stack.until(lambda: client.get(organization.model_id, "/chats"), status=200)
    assert answer.status == 200
