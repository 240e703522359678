"""A role without `api_messages_send` may read but not send."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_the_answer_names_the_missing_permission(stack: Stack, organization: Organization) -> None:
    before = await stack.balance(organization)
    async with GatewayClient(stack.url, organization.limited_key) as client:
        refused = await client.send_message(organization.model_id, "1001", "may not")
        allowed = await client.get(organization.model_id, "/chats")

    assert refused.status == 403
    assert refused.json == {"error": "Missing permission api_messages_send", "code": "PERMISSION_DENIED"}
    assert allowed.status == 200
    assert await stack.balance(organization) == before - 1
