"""A name that is taken, in any case of letters."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_the_name_is_taken(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/roles", body=b'{"name":"NO-messages","permissions":[]}')
    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
