"""Who am I: free, without a subscription, in the gateway's envelope."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_key_sees_itself_and_pays_nothing(stack: Stack, organization: Organization) -> None:
    before = await stack.balance(organization)
    async with GatewayClient(stack.url, organization.limited_key) as client:
        answer = await client.call("GET", "/api/whoami")

    assert answer.status == 200
    assert answer.json["data"]["org_id"] == organization.org_id
    assert "api_messages_send" not in answer.json["data"]["permissions"]
    assert "api_self_read" in answer.json["data"]["permissions"]
    assert answer.json["data"]["limits"]["per_minute"] == 1_000
    assert answer.used == 0
    assert answer.json["_meta"]["_credits"]["balance"] is not None
    assert await stack.balance(organization) == before


async def test_it_needs_no_subscription(stack: Stack) -> None:
    org_id = (await stack.cli("auth", "org", "create", "--name", "no plan"))["org_id"]
    key = await stack.cli("auth", "key", "create", "--org", org_id, "--role", "read_only", "--label", "x")
    async with GatewayClient(stack.url, key["key"]) as client:
        answer = await client.call("GET", "/api/whoami")
    assert (answer.status, answer.json["data"]["subscription"]) == (200, "none")
    assert answer.json["_meta"]["_credits"] == {"used": 0, "balance": 0}
