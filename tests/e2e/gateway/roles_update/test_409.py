"""Built-in roles stay as they are."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_built_in_role_stays(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        roles = (await client.call("GET", "/api/roles")).json["data"]["roles"]
        owner = next(role for role in roles if role["name"] == "owner")
        answer = await client.call("PUT", f"/api/roles/{owner['role_id']}", body=b'{"name":"x","permissions":[]}')
    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert "built in" in answer.json["error"]
