"""Nobody is nobody."""

from libs.common.ids import new_key
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_without_a_key_and_with_an_unknown_one(stack: Stack) -> None:
    for key, code in ((None, "NO_API_KEY"), (new_key("fgk_"), "INVALID_API_KEY")):
        async with GatewayClient(stack.url, key) as client:
            answer = await client.call("GET", "/api/whoami")
        assert (answer.status, answer.json) == (401, {"error": "Invalid or missing API key", "code": code})
