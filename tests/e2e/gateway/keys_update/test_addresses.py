"""Where a key may be used from: in force on the next call, and not for the caller to say (G10)."""

import json

from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack

ELSEWHERE = "203.0.113.0/24"


async def test_a_key_is_refused_outside_its_addresses_and_only_there(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as owner:
        made = (await owner.ask("POST", "/keys", label="at the office", role="owner")).json["data"]
        path = f"/keys/{made['key']['key_id']}"

        async def bound_to(*addresses: str) -> Answer:
            return await owner.call("PATCH", f"/api{path}", body=json.dumps({"addresses": addresses}).encode())

        async with GatewayClient(stack.url, made["secret"]) as bound:
            answer = await bound_to(ELSEWHERE, "2001:db8::1")
            refused = await bound.get(organization.model_id, "/chats")
            forged = await bound.call("GET", "/api/whoami", headers={"X-Forwarded-For": "203.0.113.7"})
            await bound_to(ELSEWHERE, "127.0.0.0/8")
            allowed = await bound.get(organization.model_id, "/chats")
            seen = (await bound.ask("GET", "/whoami")).json["data"]["addresses"]
            await bound_to()
            freed = await bound.ask("GET", "/whoami")

    assert answer.status == 200
    assert answer.json["data"]["addresses"] == [ELSEWHERE, "2001:db8::1/128"]
    for each in (refused, forged):
        assert each.status == 403
        assert each.json == {"error": "This key may not be used from 127.0.0.1", "code": "PERMISSION_DENIED"}
    assert (allowed.status, freed.status) == (200, 200)
    assert seen == ["127.0.0.0/8", ELSEWHERE]
    assert freed.json["data"]["addresses"] == []


async def test_what_is_no_network_is_refused_by_its_place(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as owner:
        me = (await owner.ask("GET", "/whoami")).json["data"]["key_id"]
        answer = await owner.ask("PATCH", f"/keys/{me}", addresses=["127.0.0.1", "203.0.113.7/24"])
        typed = await owner.ask("PATCH", f"/keys/{me}", addresses=[7])
    assert answer.status == 400
    assert answer.json["error"].startswith("addresses[1]: an address or a network is expected")
    assert (typed.status, typed.json["error"]) == (400, "addresses[0]: expected `str`, got `int`")
