"""A method that the path does not have."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_the_answer_names_the_methods_there_are(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("PUT", f"/api/models/{organization.model_id}/chats")

    assert answer.status == 405
    assert answer.json["code"] == "METHOD_NOT_ALLOWED"
    assert {"GET", "POST"} <= {method.strip() for method in answer.headers["Allow"].split(",")}
