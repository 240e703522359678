"""A new key beside the old one, or in its place (R164)."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R164_with_an_overlap_both_work(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        old = (await client.call("POST", "/api/keys", body=b'{"label":"x","role":"messaging"}')).json["data"]
        path = f"/api/keys/{old['key']['key_id']}/rotate"
        answer = await client.call("POST", path, body=b'{"overlap_seconds":86400}')
        ending = (await client.call("GET", f"/api/keys/{old['key']['key_id']}")).json["data"]
    new = answer.json["data"]
    assert answer.status == 201
    assert (new["key"]["label"], new["key"]["role"]) == ("x", "messaging")
    assert ending["expires_at"] is not None
    for secret in (old["secret"], new["secret"]):
        async with GatewayClient(stack.url, secret) as caller:
            assert (await caller.call("GET", "/api/whoami")).status == 200


async def test_R164_without_one_the_old_key_is_refused_at_once(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        old = (await client.call("POST", "/api/keys", body=b'{"label":"x","role":"messaging"}')).json["data"]
        answer = await client.call("POST", f"/api/keys/{old['key']['key_id']}/rotate")
    statuses = []
    for secret in (old["secret"], answer.json["data"]["secret"]):
        async with GatewayClient(stack.url, secret) as caller:
            statuses.append((await caller.call("GET", "/api/whoami")).status)
    assert statuses == [401, 200]
