"""Query values that are none."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize("query", ["limit=-1", "offset=1.5", "page=1"])
async def test_the_parameter_is_named(stack: Stack, organization: Organization, query: str) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", f"/api/keys?{query}")
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
