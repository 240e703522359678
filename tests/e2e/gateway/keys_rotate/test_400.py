"""Overlaps that are none."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize("overlap", [b"-1", b"86401", b"1.5", b'"a day"', b"1e99"])
async def test_the_old_key_goes_on(stack: Stack, organization: Organization, overlap: bytes) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.call("GET", "/api/whoami")).json["data"]["key_id"]
        answer = await client.call("POST", f"/api/keys/{me}/rotate", body=b'{"overlap_seconds":' + overlap + b"}")
        assert (await client.call("GET", "/api/whoami")).status == 200
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
    assert answer.json["error"].startswith("overlap_seconds: ")
