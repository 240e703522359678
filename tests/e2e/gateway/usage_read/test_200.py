"""Calls and their credits by key, route and model."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_usage_tells_keys_routes_and_models_apart(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=40)
    async with GatewayClient(stack.url, tenant.key) as one, GatewayClient(stack.url, tenant.limited_key) as two:
        await one.get(tenant.model_id, "/chats")
        await one.send_message(tenant.model_id, "1001", "two credits")
        await two.get(tenant.model_id, "/chats")
        await stack.debits(tenant, at_least=4)
        keys = [(await each.ask("GET", "/whoami")).json["data"]["key_id"] for each in (one, two)]
        by_key = (await one.ask("GET", "/usage?by=key")).json["data"]
        by_route = (await one.ask("GET", "/usage?by=route,model")).json["data"]
        by_day = (await one.ask("GET", "/usage")).json["data"]
    assert {line["key_id"]: (line["calls"], line["credits"]) for line in by_key["lines"]} == {
        keys[0]: (2, 3), keys[1]: (1, 1),
    }  # fmt: skip
    assert {(line["route"], line["model_id"]): line["credits"] for line in by_route["lines"]} == {
        ("messages_send", tenant.model_id): 2, ("chats_list", tenant.model_id): 2,
    }  # fmt: skip
    for report in (by_key, by_route, by_day):
        assert (report["calls"], report["credits"], report["is_cut"]) == (3, 4, False)
