"""Nothing to change, and what cannot be."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize("body", [b"", b"{}", b'{"label":null}', b'{"label":""}', b'{"role":1}', b"[]"])
async def test_nothing_is_changed(stack: Stack, organization: Organization, body: bytes) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.call("GET", "/api/whoami")).json["data"]["key_id"]
        answer = await client.call("PATCH", f"/api/keys/{me}", body=body)
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
