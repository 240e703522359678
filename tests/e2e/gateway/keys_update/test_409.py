"""A revoked key stays as it is."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_revoked_key_is_not_changed(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/keys", body=b'{"label":"x","role":"owner"}')).json["data"]["key"]
        await client.call("DELETE", f"/api/keys/{made['key_id']}")
        answer = await client.call("PATCH", f"/api/keys/{made['key_id']}", body=b'{"label":"y"}')
    assert (answer.status, answer.json) == (409, {"error": "The key is revoked", "code": "CONFLICT"})
