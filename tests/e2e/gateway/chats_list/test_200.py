"""Reading chats: the platform's bytes, the price, the windows."""

import aiohttp

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R031_R034_data_is_byte_for_byte_what_the_platform_sent(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client, aiohttp.ClientSession() as platform:
        answer = await client.get(organization.model_id, "/chats")
        async with platform.get(f"{stack.sandbox_url}/_control/last", params={"path": "/chats"}) as last:
            sent = await last.read()

    assert answer.status == 200
    assert answer.data_bytes == sent
    assert len(sent) > 2


async def test_the_envelope_tells_price_balance_and_headroom(stack: Stack) -> None:
    organization = await stack.an_organization(credits=1_000)
    async with GatewayClient(stack.url, organization.key) as client:
        first = await client.get(organization.model_id, "/chats")
        second = await client.get(organization.model_id, "/chats")

    meta = first.json["_meta"]
    assert set(meta) == {"_credits", "_rate_limits"}
    assert meta["_credits"]["used"] == 1
    assert meta["_credits"]["balance"] == organization.credits - 1
    assert meta["_rate_limits"]["limit_minute"] == 1_000
    assert meta["_rate_limits"]["limit_day"] == 50_000
    assert second.json["_meta"]["_credits"]["balance"] == organization.credits - 2
    assert second.json["_meta"]["_rate_limits"]["remaining_day"] == meta["_rate_limits"]["remaining_day"] - 1
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


async def test_paging_passes_through(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        one = await client.get(organization.model_id, "/chats?page=1&size=1")
        other = await client.get(organization.model_id, "/chats?page=2&size=1")

    assert (one.status, other.status) == (200, 200)
    assert one.data_bytes != other.data_bytes
