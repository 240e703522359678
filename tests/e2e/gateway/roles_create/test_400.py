"""What is no role."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"name":"x"}', "body: object missing required field `permissions`"),
        (b'{"name":"x","permissions":["api_chats_list",3]}', "permissions[1]: expected `str`, got `int`"),
        (b'{"name":"x","permissions":["api_fly"]}', "No such permission: api_fly"),
        (b'{"name":"Owner","permissions":[]}', "The role owner is built in"),
        (b'{"name":"!","permissions":[]}', "A role's name has 1 to 64 letters, digits, spaces, dots, dashes or underscores"),
    ],
)  # fmt: skip
async def test_R050_it_says_what_and_where(stack: Stack, organization: Organization, body: bytes, error: str) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/roles", body=body)
    assert (answer.status, answer.json) == (400, {"error": error, "code": "INVALID_REQUEST"})
