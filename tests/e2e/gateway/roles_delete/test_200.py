"""A role that nobody has is gone; its name is free again."""

import json
import uuid

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_it_is_gone_and_there_is_nothing_to_show(stack: Stack, organization: Organization) -> None:
    body = json.dumps({"name": f"role {uuid.uuid4().hex[:12]}", "permissions": []}).encode()
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/roles", body=body)).json["data"]
        answers = [await client.call("DELETE", f"/api/roles/{made['role_id']}") for _ in range(2)]
        again = await client.call("POST", "/api/roles", body=body)
    assert (answers[0].status, answers[0].json["data"]) == (200, None)
    assert answers[1].status == 404
    assert again.status == 201
