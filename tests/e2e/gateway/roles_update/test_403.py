"""Nobody grants what they do not have, least of all to themselves."""

import json

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R039_a_role_cannot_be_widened_beyond_the_maker(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.limited_key) as client:
        roles = (await client.call("GET", "/api/roles")).json["data"]["roles"]
        mine = next(role for role in roles if role["name"] == "no-messages")
        body = json.dumps({"name": "no-messages", "permissions": [*mine["permissions"], "api_messages_send"]}).encode()
        answer = await client.call("PUT", f"/api/roles/{mine['role_id']}", body=body)
    assert (answer.status, answer.json["code"]) == (403, "PERMISSION_DENIED")
