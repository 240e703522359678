"""Query values that are none."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "before=1", "colour=red"])
async def test_the_parameter_is_named(stack: Stack, organization: Organization, query: str) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", f"/api/audit-log?{query}")
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
    assert answer.json["error"].startswith(f"query.{query.partition('=')[0]}: ")
