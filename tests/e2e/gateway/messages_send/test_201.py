"""Sending a message costs two credits and arrives once."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R020_a_message_costs_two_and_is_delivered_once(stack: Stack, organization: Organization) -> None:
    before = await stack.balance(organization)
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.send_message(organization.model_id, "1001", "hello, once")
        listed = await client.get(organization.model_id, "/chats/1001/messages?size=50")

    assert answer.status in {200, 201}
    assert answer.used == 2
    assert listed.body.count(b"hello, once") == 1
    assert await stack.balance(organization) == before - 3
