"""What there is to subscribe to."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_the_plans_are_there_the_smallest_first(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("GET", "/plans")
    plans = answer.json["data"]["plans"]
    assert answer.status == 200
    assert {"free", "basic", "pro", "enterprise"} <= {plan["code"] for plan in plans}
    assert [plan["monthly_credits"] for plan in plans] == sorted(plan["monthly_credits"] for plan in plans)
    basic = next(plan for plan in plans if plan["code"] == "basic")
    assert basic == {"code": "basic", "monthly_credits": 1_000, "per_minute": 60, "per_day": 50_000, "is_open": False}
