"""Who did what, when, from where: newest first, page by page, and never a secret."""

import json

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_a_change_is_in_the_log_with_its_key_and_address(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.call("GET", "/api/whoami")).json["data"]
        body = json.dumps({"label": "for the log", "role": "read_only"}).encode()
        made = (await client.call("POST", "/api/keys", body=body)).json["data"]
        await client.call("DELETE", f"/api/keys/{made['key']['key_id']}")
        answer = await client.call("GET", "/api/audit-log?limit=2")
        first = answer.json["data"]
        second = (await client.call("GET", f"/api/audit-log?limit=2&before={first['next']}")).json["data"]

    assert answer.status == 200
    assert [entry["action"] for entry in first["entries"]] == ["key.revoke", "key.create"]
    for entry in first["entries"]:
        assert (entry["by"], entry["key_id"], entry["address"]) == ("key", me["key_id"], "127.0.0.1")
        assert entry["object_id"] == made["key"]["key_id"]
    assert made["secret"].encode() not in answer.body
    # the operator, who made the organization, came before
    assert {entry["entry_id"] for entry in second["entries"]}.isdisjoint(
        entry["entry_id"] for entry in first["entries"]
    )
    assert second["entries"][0]["at"] <= first["entries"][-1]["at"]
