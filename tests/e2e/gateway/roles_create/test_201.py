"""A role of the organization's own."""

import json
import uuid

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_it_grants_what_it_lists_and_to_look_at_oneself(stack: Stack, organization: Organization) -> None:
    name = f"role {uuid.uuid4().hex[:12]}"
    body = json.dumps({"name": name, "permissions": ["api_chats_list", "api_chats_list"]}).encode()
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/roles", body=body)
    assert answer.status == 201
    assert answer.json["data"]["permissions"] == ["api_chats_list", "api_self_read"]
    assert (answer.json["data"]["name"], answer.json["data"]["is_built_in"]) == (name, False)
