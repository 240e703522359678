"""A key never grants more than its maker has."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_what_is_beyond_the_maker_is_named(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.limited_key) as client:
        refused = await client.call("POST", "/api/keys", body=b'{"label":"more","role":"messaging"}')
        made = await client.call("POST", "/api/keys", body=b'{"label":"as much","role":"no-messages"}')
    assert refused.status == 403
    assert refused.json == {
        "error": "This key cannot grant what it does not have: api_messages_send", "code": "PERMISSION_DENIED",
    }  # fmt: skip
    assert made.status == 201
