"""A role that is not there."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_another_organizations_role_is_none(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/keys", body=b'{"label":"x","role":"nobody"}')
    assert (answer.status, answer.json) == (404, {"error": "Role not found", "code": "NOT_FOUND"})
