"""Everything that a role can grant (R41)."""

from libs.common.contracts.catalogue import catalogue
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R041_every_routes_permission_is_listed(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", "/api/permissions")
    listed = answer.json["data"]["permissions"]
    assert answer.status == 200
    assert listed == sorted(listed)
    assert {route.permission for route in catalogue().values()} | {"api_keys_create", "api_self_read"} <= set(listed)
