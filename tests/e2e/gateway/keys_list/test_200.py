"""An organization's keys, newest first, revoked ones too, page by page."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_R001_R010_only_ones_own_and_no_secret(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = (await client.call("POST", "/api/keys", body=b'{"label":"listed","role":"owner"}')).json["data"]
        all_of_them = (await client.call("GET", "/api/keys?limit=999999")).json["data"]
        page = await client.call("GET", "/api/keys?limit=1&offset=1")
        beyond = (await client.call("GET", "/api/keys?offset=999999999")).json["data"]
    assert (page.status, len(page.json["data"]["keys"])) == (200, 1)
    assert all_of_them["keys"][0] == made["key"]
    assert all_of_them["keys"][1] == page.json["data"]["keys"][0]
    assert all_of_them["total"] == len(all_of_them["keys"]) == beyond["total"]
    assert beyond["keys"] == []
    starts = {key["start"] for key in all_of_them["keys"]}
    assert {organization.key[:8], organization.limited_key[:8]} <= starts
