"""A role, anew: every key that has it is narrower, or wider, on its next call."""

import json
import uuid

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_a_narrowed_role_narrows_its_keys_at_once(stack: Stack, organization: Organization) -> None:
    name = f"role {uuid.uuid4().hex[:12]}"

    def role(*permissions: str) -> bytes:
        return json.dumps({"name": name, "permissions": permissions}).encode()

    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/roles", body=role("api_keys_list"))).json["data"]
        order = json.dumps({"label": "x", "role": name}).encode()
        key = (await client.call("POST", "/api/keys", body=order)).json["data"]["secret"]
        statuses = []
        async with GatewayClient(stack.url, key) as caller:
            statuses.append((await caller.call("GET", "/api/keys")).status)
            for permissions in ((), ("api_keys_list",)):
                answer = await client.call("PUT", f"/api/roles/{made['role_id']}", body=role(*permissions))
                assert answer.status == 200
                statuses.append((await caller.call("GET", "/api/keys")).status)
    assert statuses == [200, 403, 200]
