"""What opens nothing any more is not rotated."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_revoked_key_is_not_brought_back(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/keys", body=b'{"label":"x","role":"owner"}')).json["data"]["key"]
        await client.call("DELETE", f"/api/keys/{made['key_id']}")
        answer = await client.call("POST", f"/api/keys/{made['key_id']}/rotate", body=b"{}")
    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
