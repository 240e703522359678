"""What there is to spend, bucket by bucket."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_R024_the_balance_is_the_sum_of_its_buckets(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=40)
    await stack.cli("billing", "grant", "--org", tenant.org_id, "--credits", "7", "--kind", "topup", "--memo", "a test")
    async with GatewayClient(stack.url, tenant.key) as client:
        answer = await client.ask("GET", "/credits")
        paid = await client.get(tenant.model_id, "/chats")
        await stack.debits(tenant, at_least=1)
        after = (await client.ask("GET", "/credits")).json["data"]
    data = answer.json["data"]
    assert (answer.status, answer.used, paid.status) == (200, 0, 200)
    assert (data["balance"], data["leased"]) == (47, 0)
    assert {bucket["kind"]: bucket["balance"] for bucket in data["buckets"]} == {"plan": 40, "topup": 7}
    ends = {bucket["kind"]: bucket["ends_at"] for bucket in data["buckets"]}
    assert ends["topup"] is None
    assert ends["plan"] is not None
    # the plan burns first
    assert {bucket["kind"]: bucket["balance"] for bucket in after["buckets"]} == {"plan": 39, "topup": 7}
