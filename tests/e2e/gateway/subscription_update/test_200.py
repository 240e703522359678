"""The plan: up at once and pro rata, down and out at the period's end, and taken back."""

from typing import Any

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_a_larger_plan_begins_now_a_smaller_one_at_the_periods_end(stack: Stack) -> None:
    tenant = await stack.an_organization(plan="basic")
    async with GatewayClient(stack.url, tenant.key) as client:

        async def put(**body: Any) -> Any:
            answer = await client.ask("PUT", "/subscription", **body)
            assert answer.status == 200, answer.body
            return answer.json["data"]

        before = (await client.ask("GET", "/credits")).json["data"]["balance"]
        up = await put(plan="pro")
        after = (await client.ask("GET", "/credits")).json["data"]["balance"]
        again = await put(plan="pro")
        down = await put(plan="free")
        kept = await put(plan="pro")
        cancelled = await put(cancels=True)
        taken_back = await put(plan="pro")
        seen = (await client.ask("GET", "/subscription")).json["data"]
        balance = (await client.ask("GET", "/credits")).json["data"]["balance"]
        limits = await stack.until_seen(
            lambda: client.ask("GET", "/whoami"), lambda data: data["limits"]["per_minute"] == 300
        )

    assert (up["plan"]["code"], up["status"], up["period_end"]) == ("pro", "active", seen["period_end"])
    assert before == 1_000
    assert 4_990 <= after <= 5_000  # the rest of a period that has just begun
    assert again == up
    assert (down["plan"]["code"], down["next_plan"]) == ("pro", "free")
    assert kept == up
    assert (cancelled["plan"]["code"], cancelled["cancels"], cancelled["status"]) == ("pro", True, "active")
    assert taken_back == up == seen
    assert balance == after  # going up and down again granted nothing twice
    assert limits["limits"]["per_minute"] == 300
