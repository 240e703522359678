"""The organization behind the key."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R003_R024_it_holds_the_plan(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", "/api/organization")
    data = answer.json["data"]
    assert (answer.status, data["org_id"], data["state"]) == (200, organization.org_id, "active")
    assert (data["subscription"], data["per_minute"], data["per_day"]) == ("active", 1_000, 50_000)
