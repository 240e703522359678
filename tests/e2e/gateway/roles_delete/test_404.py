"""A role that is not there, or another organization's: no difference (R1)."""

import uuid

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_foreign_is_absent(stack: Stack, organization: Organization) -> None:
    other = (await stack.cli("auth", "org", "create", "--name", "other"))["org_id"]
    create = ("--name", "theirs", "--permissions", "api_chats_list")
    theirs = await stack.cli("auth", "role", "create", "--org", other, *create)
    async with GatewayClient(stack.url, organization.key) as client:
        for role_id in (theirs["role_id"], str(uuid.uuid4()), "12"):
            answer = await client.call("DELETE", f"/api/roles/{role_id}", body=None)
            assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
