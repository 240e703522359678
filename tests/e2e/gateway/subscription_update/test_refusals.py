"""What a plan cannot become."""

from typing import Any

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "body: either plan or cancels is expected"),
        ({"plan": "pro", "cancels": True}, "body: either plan or cancels is expected"),
        ({"plan": "gold"}, "plan: There is no plan 'gold'"),
        ({"cancels": "yes"}, "cancels: expected `bool`, got `str`"),
    ],
)
async def test_400(stack: Stack, organization: Organization, body: dict[str, Any], error: str) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("PUT", "/subscription", **body)
    assert (answer.status, answer.json) == (400, {"error": error, "code": "INVALID_REQUEST"})


async def test_R052_402_without_a_subscription_or_with_a_debt(stack: Stack) -> None:
    bare, owing = await stack.an_organization(plan=None), await stack.an_organization(plan="basic")
    await stack.cli("billing", "subscription", "past-due", "--org", owing.org_id)
    async with GatewayClient(stack.url, bare.key) as client:
        none = [
            await client.ask("PUT", "/subscription", plan="pro"),
            await client.ask("PUT", "/subscription", cancels=True),
        ]
    async with GatewayClient(stack.url, owing.key) as client:
        debt = await client.ask("PUT", "/subscription", plan="pro")
        cancelled = await client.ask("PUT", "/subscription", cancels=True)
    for answer in none:
        assert (answer.status, answer.json["code"]) == (402, "NO_SUBSCRIPTION")
    assert (debt.status, debt.json["code"]) == (402, "SUBSCRIPTION_PAST_DUE")
    assert (cancelled.status, cancelled.json["data"]["status"]) == (200, "past_due")


async def test_403_for_who_may_only_read(stack: Stack, organization: Organization) -> None:
    made = await stack.cli(
        "auth", "key", "create", "--org", organization.org_id, "--role", "developer", "--label", "a developer"
    )
    async with GatewayClient(stack.url, made["key"]) as client:
        answer = await client.ask("PUT", "/subscription", plan="free")
    assert (answer.status, answer.json["error"]) == (403, "Missing permission api_subscription_update")


async def test_403_for_a_larger_plan_that_is_the_operators_to_give(stack: Stack) -> None:
    tenant = await stack.an_organization(plan="basic")
    async with GatewayClient(stack.url, tenant.key) as client:
        before = (await client.ask("GET", "/credits")).json["data"]["balance"]
        answer = await client.ask("PUT", "/subscription", plan="enterprise")
        plans = (await client.ask("GET", "/plans")).json["data"]["plans"]
        after = (await client.ask("GET", "/credits")).json["data"]["balance"]
    assert (answer.status, answer.json["code"]) == (403, "NOT_ENABLED")
    assert before == after
    assert [plan["is_open"] for plan in plans if plan["code"] == "enterprise"] == [False]
