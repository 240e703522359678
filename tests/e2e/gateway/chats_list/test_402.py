"""Paid calls need an active subscription, and credits."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_R026_R052_without_a_subscription(stack: Stack) -> None:
    bare = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, bare.key) as client:
        answer = await client.get(bare.model_id, "/chats")

    assert answer.status == 402
    assert answer.json["code"] == "NO_SUBSCRIPTION"
    assert answer.json["error"].startswith("No active subscription")
    assert set(answer.json) == {"error", "code"}


async def test_R028_with_the_last_credit_spent(stack: Stack) -> None:
    poor = await stack.an_organization(credits=3)
    async with GatewayClient(stack.url, poor.key) as client:
        paid = [await client.get(poor.model_id, "/chats") for _ in range(3)]
        refused = await stack.until_posted(lambda: client.get(poor.model_id, "/chats"))

    assert [answer.status for answer in paid] == [200, 200, 200]
    assert refused.status == 402
    assert refused.json == {"error": refused.json["error"], "code": "INSUFFICIENT_CREDITS"}
    assert await stack.balance(poor) == 0


async def test_one_credit_does_not_pay_for_two(stack: Stack) -> None:
    poor = await stack.an_organization(credits=1)
    async with GatewayClient(stack.url, poor.key) as client:
        refused = await client.send_message(poor.model_id, "1001", "too dear")
        paid = await client.get(poor.model_id, "/chats")

    assert refused.status == 402
    assert paid.status == 200
    assert isinstance(paid.json["_meta"], dict)
