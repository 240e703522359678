"""Whoami is only read."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_the_allowed_method_is_named(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("DELETE", "/api/whoami")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
