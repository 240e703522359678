"""Another label, another role: in force on the next call."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_a_role_change_acts_at_once(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/keys", body=b'{"label":"before","role":"owner"}')).json["data"]
        path = f"/api/keys/{made['key']['key_id']}"
        async with GatewayClient(stack.url, made["secret"]) as changed:
            assert (await changed.call("GET", "/api/keys")).status == 200
            answer = await client.call("PATCH", path, body=b'{"label":"after","role":"messaging"}')
            assert (await changed.call("GET", "/api/keys")).status == 403
    assert answer.status == 200
    assert (answer.json["data"]["label"], answer.json["data"]["role"]) == ("after", "messaging")
