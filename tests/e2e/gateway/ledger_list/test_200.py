"""Everything that moved credits: folded by day, or call by call."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_the_ledger_adds_up_to_the_balance(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=40)
    async with GatewayClient(stack.url, tenant.key) as client:
        await client.get(tenant.model_id, "/chats")
        await client.send_message(tenant.model_id, "1001", "two credits")
        await stack.debits(tenant, at_least=3)
        by_day = (await client.ask("GET", "/ledger")).json["data"]["lines"]
        first = (await client.ask("GET", "/ledger?group=none&limit=2")).json["data"]
        second = (await client.ask("GET", f"/ledger?group=none&limit=2&cursor={first['next_cursor']}")).json["data"]
        balance = (await client.ask("GET", "/credits")).json["data"]["balance"]
        key_id = (await client.ask("GET", "/whoami")).json["data"]["key_id"]
    assert sorted((line["type"], line["amount"], line["calls"]) for line in by_day) == [
        ("debit", -3, 2),
        ("grant", 40, 0),
    ]
    each = first["lines"] + second["lines"]
    assert second["next_cursor"] is None
    assert [(line["route"], line["amount"]) for line in each[:2]] == [("messages_send", -2), ("chats_list", -1)]
    assert {(line["key_id"], line["model_id"]) for line in each[:2]} == {(key_id, tenant.model_id)}
    assert sum(line["amount"] for line in each) == sum(line["amount"] for line in by_day) == balance == 37


async def test_another_organizations_ledger_is_empty_of_it(stack: Stack) -> None:
    stranger = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, stranger.key) as client:
        answer = await client.ask("GET", "/ledger")
    assert answer.json["data"] == {"lines": [], "next_cursor": None}
