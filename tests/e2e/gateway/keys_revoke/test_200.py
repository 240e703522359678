"""The end of a key, at once, and of no other (R11, R136, R173)."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R007_R011_R136_R173_it_is_refused_on_the_next_call_and_repeating_is_safe(
    stack: Stack, organization: Organization
) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/keys", body=b'{"label":"x","role":"owner"}')).json["data"]
        path = f"/api/keys/{made['key']['key_id']}"
        async with GatewayClient(stack.url, made["secret"]) as revoked:
            assert (await revoked.call("GET", "/api/whoami")).status == 200
            answers = [await client.call("DELETE", path) for _ in range(2)]
            assert (await revoked.call("GET", "/api/whoami")).status == 401
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json["data"] == answers[1].json["data"]
    assert answers[0].json["data"]["state"] == "revoked"
