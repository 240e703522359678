"""The plan: up at once and pro rata, down and out at the period's end, and taken back."""

from typing import Any

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_a_larger_plan_begins_now_a_smaller_one_at_the_periods_end(stack: Stack) -> None:
    size = ("--credits", "5000", "--per-minute", "300", "--per-day", "50000")
    await stack.cli("billing", "plan", "set", "--plan", "larger", *size, "--open")
    tenant = await stack.an_organization(plan="basic")
    async with GatewayClient(stack.url, tenant.key) as client:

        async def put(**body: Any) -> Any:
            answer = await client.ask("PUT", "/subscription", **body)
            assert answer.status == 200, answer.body
            return answer.json["data"]

        before = (await client.ask("GET", "/credits")).json["data"]["balance"]
        up = await put(plan="larger")
        after = (await client.ask("GET", "/credits")).json["data"]["balance"]
        again = await put(plan="larger")
        down = await put(plan="free")
        kept = await put(plan="larger")
        cancelled = await put(cancels=True)
        taken_back = await put(plan="larger")
        seen = (await client.ask("GET", "/subscription")).json["data"]
        balance = (await client.ask("GET", "/credits")).json["data"]["balance"]
        limits = await stack.until_seen(
            lambda: client.ask("GET", "/whoami"), lambda data: data["limits"]["per_minute"] == 300
        )

        def mine(data: Any) -> list[Any]:
            return [line for line in reversed(data["entries"]) if line["action"].startswith("subscription.")]

        log = mine(await stack.until_seen(lambda: client.ask("GET", "/audit-log"), lambda data: len(mine(data)) == 5))

    assert (up["plan"]["code"], up["status"], up["period_end"]) == ("larger", "active", seen["period_end"])
    assert before == 1_000
    assert 4_990 <= after <= 5_000  # the rest of a period that has just begun
    assert again == up
    assert (down["plan"]["code"], down["next_plan"]) == ("larger", "free")
    assert kept == up
    assert (cancelled["plan"]["code"], cancelled["cancels"], cancelled["status"]) == ("larger", True, "active")
    assert taken_back == up == seen
    assert balance == after  # going up and down again granted nothing twice
    assert limits["limits"]["per_minute"] == 300
    assert [line["action"].removeprefix("subscription.") for line in log] == [
        "update", "update", "update", "cancel", "update",
    ]  # fmt: skip
    assert {(line["by"], line["address"], line["object_id"]) for line in log} == {("key", "127.0.0.1", tenant.org_id)}
    assert log[0]["details"] == {"plan": {"from": "basic", "to": "larger"}}
