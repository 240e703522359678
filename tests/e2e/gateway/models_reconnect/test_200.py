"""`POST /api/models/{model_id}/reconnect` (R16): with what the vault holds; where that is not enough, by a new link."""

from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack

PASSWORD = "sandbox-demo-password"


async def test_R016_R056_a_lost_session_comes_back_without_credentials(stack: Stack) -> None:
    organization = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        refused = {"status": 403, "body": '{"error":"no"}', "times": 2}
        async with (
            stack.fault(organization, route="chats_list", expire_session=True, times=1),
            stack.fault(organization, route="auth_login", **refused),
        ):
            lost = await client.get(organization.model_id, "/chats")
            assert (lost.status, lost.json["code"]) == (424, "SYNC_LOST")
            still = await client.ask("POST", f"/models/{organization.model_id}/reconnect")
            assert still.json["data"]["model"]["state"] == "sync_lost"
            assert still.json["data"]["connect_url"] is not None
        back = await client.ask("POST", f"/models/{organization.model_id}/reconnect")
        assert (back.status, back.json["data"]["model"]["state"]) == (200, "connected")
        assert back.json["data"]["connect_url"] is None
        assert (await client.get(organization.model_id, "/chats")).status == 200


async def test_a_disconnected_model_needs_a_new_link(stack: Stack) -> None:
    organization = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("POST", f"/models/{organization.model_id}/disconnect")
        assert (answer.status, answer.json["data"]["state"]) == (200, "disconnected")
        called = await client.get(organization.model_id, "/chats")
        assert (called.status, called.json["code"]) == (424, "MODEL_NOT_CONNECTED")
        answer = await client.ask("POST", f"/models/{organization.model_id}/reconnect")
        assert (answer.status, answer.json["data"]["model"]["state"]) == (200, "disconnected")
        async with Browser(answer.json["data"]["connect_url"]) as browser:
            page = await browser.send(await browser.open(), email="another@sandbox.test", password=PASSWORD)
        assert "another account" in page.problem
