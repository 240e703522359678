"""What is no name."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name":" "}', b'{"name":7}', b'{"name":"a\\u0000b"}', b"{"])
async def test_nothing_is_changed(stack: Stack, organization: Organization, body: bytes) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        before = await client.call("GET", "/api/organization")
        answer = await client.call("PATCH", "/api/organization", body=body)
        after = await client.call("GET", "/api/organization")
    assert (answer.status, answer.json["code"], set(answer.json)) == (400, "INVALID_REQUEST", {"error", "code"})
    assert after.json["data"] == before.json["data"]
