"""A key is made by a key, shown once, and works at once (R7, R9, R10)."""

import json

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R007_R009_R010_the_secret_is_shown_once_and_opens_what_the_role_grants(
    stack: Stack, organization: Organization
) -> None:
    order = {"label": "staging", "role": "messaging", "per_minute": 50, "colour": "ignored"}
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/keys", body=json.dumps(order).encode())
        made = answer.json["data"]
        read = await client.call("GET", f"/api/keys/{made['key']['key_id']}")
    assert answer.status == 201
    assert (made["key"]["role"], made["key"]["state"], made["key"]["per_minute"]) == ("messaging", "active", 50)
    assert made["secret"].startswith(made["key"]["start"])
    assert read.json["data"] == made["key"]
    assert made["secret"].encode() not in read.body
    async with GatewayClient(stack.url, made["secret"]) as client:
        assert (await client.get(organization.model_id, "/chats")).status == 200
        assert (await client.call("GET", "/api/keys")).status == 403


async def test_R172_a_key_with_an_expiry_says_so(stack: Stack, organization: Organization) -> None:
    order = {"label": "short", "role": "read_only", "expires_at": "2999-01-01T00:00:00Z"}
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/keys", body=json.dumps(order).encode())
    assert answer.json["data"]["key"]["expires_at"] == "2999-01-01T00:00:00Z"
