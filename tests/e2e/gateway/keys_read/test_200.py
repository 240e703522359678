"""One key, without its secret (R135)."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R135_a_key_reads_itself(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.call("GET", "/api/whoami")).json["data"]
        answer = await client.call("GET", f"/api/keys/{me['key_id']}")
    assert (answer.status, answer.json["data"]["role"]) == (200, "owner")
    assert answer.json["data"]["start"] == organization.key[:8]
    assert organization.key.encode() not in answer.body
