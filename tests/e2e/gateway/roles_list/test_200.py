"""An organization's roles (R39)."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_the_built_in_ones_come_first(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", "/api/roles")
    roles = answer.json["data"]["roles"]
    assert answer.status == 200
    assert [role["name"] for role in roles[:5]] == ["developer", "messaging", "owner", "read_only", "takedowns"]
    assert all(role["is_built_in"] for role in roles[:5])
    mine = next(role for role in roles if role["name"] == "no-messages")
    assert not mine["is_built_in"]
    assert "api_messages_send" not in mine["permissions"]
