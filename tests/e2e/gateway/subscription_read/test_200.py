"""The subscription and what is to come of it, also where there is none."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_R003_the_organization_holds_the_plan(stack: Stack) -> None:
    tenant = await stack.an_organization(plan="basic")
    async with GatewayClient(stack.url, tenant.key) as client:
        data = (await client.ask("GET", "/subscription")).json["data"]
        organization = (await client.ask("GET", "/organization")).json["data"]
        limits = (await client.ask("GET", "/whoami")).json["data"]["limits"]
    assert (data["status"], data["plan"]["code"], data["next_plan"], data["cancels"]) == (
        "active",
        "basic",
        None,
        False,
    )
    assert (organization["plan"], organization["subscription"]) == ("basic", "active")
    assert organization["period_end"] == data["period_end"] > data["period_start"]
    assert (organization["per_minute"], organization["per_day"]) == (60, 50_000)
    assert limits == {"per_minute": 60, "per_day": 50_000, "key_per_minute": None}


async def test_without_one_it_says_so(stack: Stack) -> None:
    bare = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, bare.key) as client:
        answer = await client.ask("GET", "/subscription")
    assert answer.status == 200
    assert (answer.json["data"]["status"], answer.json["data"]["plan"]) == ("none", None)
