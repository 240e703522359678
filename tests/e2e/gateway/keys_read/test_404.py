"""A key that is not there, or another organization's: no difference (R1)."""

import uuid

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_foreign_is_absent(stack: Stack, organization: Organization) -> None:
    other = (await stack.cli("auth", "org", "create", "--name", "other"))["org_id"]
    theirs = await stack.cli("auth", "key", "create", "--org", other, "--role", "owner", "--label", "x")
    async with GatewayClient(stack.url, organization.key) as client:
        for key_id in (theirs["key_id"], str(uuid.uuid4()), "12"):
            answer = await client.call("GET", f"/api/keys/{key_id}", body=None)
            assert answer.status == 404, answer.body
            assert answer.json["code"] == "NOT_FOUND"
