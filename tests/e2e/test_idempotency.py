"""A paid message under an `Idempotency-Key`, through the whole system on both surfaces: sent once, paid once, answered as often as
it is asked for.
"""

import asyncio
import json
import uuid
from collections import Counter

import aiohttp
import pytest

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

SURFACES = {"gateway": "/api/models/{model}", "metric": "/v1/{model}"}
MOVING = {"date", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "idempotent-replayed"}


async def send(
    stack: Stack, organization: Organization, surface: str, key: str, text: str, *, method: str = "POST", tail: str = ""
) -> Answer:
    path = SURFACES[surface].format(model=organization.model_id) + (tail or "/chats/1001/messages")
    async with GatewayClient(stack.url, organization.key) as client:
        body = json.dumps({"text": text}).encode()
        return await client.call(method, path, body=body, headers={"Idempotency-Key": key})


def lasting(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer that does not move by itself."""
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in MOVING}
    return answer.status, answer.body, headers


def a_text() -> str:
    return f"once {uuid.uuid4().hex}"


@pytest.mark.parametrize("surface", SURFACES)
async def test_a_repeated_message_is_sent_and_paid_once(stack: Stack, organization: Organization, surface: str) -> None:
    before, text = await stack.balance(organization), a_text()
    first, *again = [await send(stack, organization, surface, text, text) for _ in range(4)]
    assert first.status in {200, 201}
    assert "Idempotent-Replayed" not in first.headers
    assert [answer.headers.get("Idempotent-Replayed") for answer in again] == ["true"] * 3
    assert [lasting(answer) for answer in again] == [lasting(first)] * 3
    assert await stack.delivered(text) == 1
    assert await stack.balance(organization) == before - 2


@pytest.mark.parametrize("surface", SURFACES)
async def test_fifty_at_once_send_one_message(stack: Stack, organization: Organization, surface: str) -> None:
    before, text = await stack.balance(organization), a_text()
    answers = await asyncio.gather(*(send(stack, organization, surface, text, text) for _ in range(50)))
    found = Counter(answer.status for answer in answers)
    assert set(found) <= {200, 201, 409}
    assert sum(answer.status < 300 and "Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert await stack.delivered(text) == 1
    assert await stack.balance(organization) == before - 2


async def test_the_same_key_for_another_message_is_a_422(stack: Stack, organization: Organization) -> None:
    key, other = a_text(), a_text()
    await send(stack, organization, "gateway", key, key)
    for surface in SURFACES:
        answer = await send(stack, organization, surface, key, other)
        assert (answer.status, answer.headers["X-Error-Code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await stack.delivered(other) == 0


async def test_an_unknown_outcome_is_said_again_and_not_tried_again(stack: Stack, organization: Organization) -> None:
    before, text = await stack.balance(organization), a_text()
    async with stack.fault(organization, route="messages_send", drop="after"):
        first = await send(stack, organization, "gateway", text, text)
    again = await send(stack, organization, "gateway", text, text)
    assert (first.status, first.json["code"]) == (504, "OUTCOME_UNKNOWN")
    assert lasting(again) == lasting(first)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await stack.delivered(text) == 1
    assert await stack.balance(organization) == before


async def test_a_refused_session_frees_the_key(stack: Stack, organization: Organization) -> None:
    text = a_text()
    async with stack.fault(organization, route="messages_send", expire_session=True, times=1):
        assert (await send(stack, organization, "gateway", text, text)).status == 424
        answer = await send(stack, organization, "gateway", text, text)
    assert answer.status in {200, 201}
    assert await stack.delivered(text) == 1


async def test_an_api_key_is_made_once_and_its_secret_comes_again_to_whoever_made_it(
    stack: Stack, organization: Organization
) -> None:
    idempotency_key = a_text()
    order = json.dumps({"label": idempotency_key, "role": "read_only"}).encode()
    headers = {"Idempotency-Key": idempotency_key}
    async with GatewayClient(stack.url, organization.key) as client:
        first, again = [await client.call("POST", "/api/keys", body=order, headers=headers) for _ in range(2)]
        listed = await client.call("GET", "/api/keys?limit=1000")
    assert first.status == 201
    assert lasting(again) == lasting(first)
    assert [key["label"] for key in listed.json["data"]["keys"]].count(idempotency_key) == 1
    async with GatewayClient(stack.url, first.json["data"]["secret"]) as client:
        assert (await client.call("GET", "/api/whoami")).status == 200


async def test_what_is_counted_tells_what_happened(stack: Stack, organization: Organization) -> None:
    async def claims(outcome: str) -> float:
        return await stack.metric("edge", "fangate_idempotency_claims_total", f'outcome="{outcome}"')

    fresh, replayed, text = await claims("fresh"), await claims("replayed"), a_text()
    for _ in range(2):
        await send(stack, organization, "gateway", text, text)
    assert (await claims("fresh") - fresh, await claims("replayed") - replayed) == (1, 1)


async def test_the_edge_says_that_its_schema_is_there(stack: Stack) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.admin_urls['edge']}/readyz") as answer:
        assert (await answer.json())["checks"]["schema"] == "ok"
