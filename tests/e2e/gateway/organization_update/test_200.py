"""An organization's name."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_new_name_is_there_at_once(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        changed = await client.call("PATCH", "/api/organization", body='{"name":" Größe & Co "}'.encode())
        read = await client.call("GET", "/api/organization")
    assert (changed.status, changed.json["data"]["name"]) == (200, "Größe & Co")
    assert read.json["data"] == changed.json["data"]
