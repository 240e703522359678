"""What ends the right to call, on both surfaces: a debt, an expiry, a suspension. And what brings it back."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

LIFE = timedelta(seconds=3)


def paths(organization: Organization) -> tuple[str, str]:
    """The same call on the gateway and on the metric surface."""
    return f"/api/models/{organization.model_id}/chats", f"/v1/{organization.account}/chats"


async def both(client: GatewayClient, organization: Organization) -> list[Answer]:
    return [await client.call("GET", path) for path in paths(organization)]


async def test_R052_R174_a_debt_is_402_on_both_surfaces_free_and_over_once_it_is_settled(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=40)
    async with GatewayClient(stack.url, tenant.key) as client:
        await stack.cli("billing", "subscription", "past-due", "--org", tenant.org_id)
        await stack.until(lambda: client.get(tenant.model_id, "/chats"), status=402)
        gateway, metric = await both(client, tenant)
        free = await client.ask("GET", "/subscription")
        balance = await stack.balance(tenant)
        await stack.cli("billing", "subscription", "reactivate", "--org", tenant.org_id)
        again = await stack.until(lambda: client.get(tenant.model_id, "/chats"), status=200)
    text = "Subscription is past due: repair billing in the dashboard"
    assert (gateway.status, gateway.json) == (402, {"error": text, "code": "SUBSCRIPTION_PAST_DUE"})
    assert (metric.status, metric.json) == (402, {"error": text})
    assert metric.headers["X-Error-Code"] == "SUBSCRIPTION_PAST_DUE"
    assert (free.status, free.json["data"]["status"]) == (200, "past_due")
    assert again.status == 200
    assert balance > 40 - 5  # what was called before the debt was known; no 402 is in it
    assert await stack.ledger_is_sound(tenant)


async def test_R051_R172_a_key_past_its_expiry_is_401_on_both_surfaces(
    stack: Stack, organization: Organization
) -> None:
    async with GatewayClient(stack.url, organization.key) as owner:
        end = datetime.now(UTC) + LIFE
        made = await owner.ask("POST", "/keys", label="short", role="owner", expires_at=end.isoformat())
        async with GatewayClient(stack.url, made.json["data"]["secret"]) as client:
            before = await both(client, organization)
            await asyncio.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 0.01)
            after = await both(client, organization)
        state = (await owner.ask("GET", f"/keys/{made.json['data']['key']['key_id']}")).json["data"]["state"]
    assert [answer.status for answer in before] == [200, 200]
    assert [answer.status for answer in after] == [401, 401]
    assert after[0].json == {"error": "Invalid or missing API key", "code": "INVALID_API_KEY"}
    assert after[1].json == {"error": "Invalid or missing API key"}
    assert state == "expired"


async def test_R168_a_suspended_organization_is_403_on_both_surfaces_until_it_is_resumed(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=40)
    async with GatewayClient(stack.url, tenant.key) as client:
        assert [answer.status for answer in await both(client, tenant)] == [200, 200]
        suspended = await stack.cli("auth", "org", "suspend", tenant.org_id)
        await stack.until(lambda: client.get(tenant.model_id, "/chats"), status=403)
        gateway, metric = await both(client, tenant)
        own = await client.ask("GET", "/whoami")
        await stack.cli("auth", "org", "resume", tenant.org_id)
        await stack.until(lambda: client.get(tenant.model_id, "/chats"), status=200)
        log = (await client.ask("GET", "/audit-log?limit=2")).json["data"]["entries"]
    text = "The organization is suspended: contact support"
    assert suspended["state"] == "suspended"
    for answer in (gateway, own):
        assert (answer.status, answer.json) == (403, {"error": text, "code": "ORGANIZATION_SUSPENDED"})
    assert (metric.status, metric.json) == (403, {"error": text})
    assert [(entry["action"], entry["by"], entry["details"]["state"]["to"]) for entry in log] == [
        ("organization.set_state", "operator", "active"), ("organization.set_state", "operator", "suspended"),
    ]  # fmt: skip


async def test_R173_the_operator_and_the_owner_each_end_one_key_and_no_other(
    stack: Stack, organization: Organization
) -> None:
    async with GatewayClient(stack.url, organization.key) as owner:
        made = [(await owner.ask("POST", "/keys", label=f"k{n}", role="owner")).json["data"] for n in range(3)]
        await owner.ask("DELETE", f"/keys/{made[0]['key']['key_id']}")
        await stack.cli("auth", "key", "revoke", made[1]["key"]["key_id"])
        async with GatewayClient(stack.url, made[1]["secret"]) as client:
            await stack.until(lambda: client.ask("GET", "/whoami"), status=401)
        statuses = []
        for each in made:
            async with GatewayClient(stack.url, each["secret"]) as client:
                statuses.append((await client.ask("GET", "/whoami")).status)
    assert statuses == [401, 401, 200]
