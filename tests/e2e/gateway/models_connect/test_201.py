"""`POST /api/models`: a link for the credentials of a real platform, at once in the sandbox."""

from datetime import UTC, datetime, timedelta

from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

PASSWORD = "sandbox-demo-password"


async def test_R012_R013_R014_R015_R029_credentials_are_typed_behind_the_link_and_never_in_a_call(
    stack: Stack, organization: Organization
) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        # given a link
        answer = await client.ask("POST", "/models", provider="session", label="Typed behind a link")
        assert answer.status == 201, answer.body
        assert answer.used == 0
        data = answer.json["data"]
        model_id, url = data["model"]["model_id"], data["connect_url"]
        assert (data["model"]["state"], url.startswith(f"{stack.url}/connect/")) == ("connecting", True)
        expires_at = datetime.fromisoformat(data["connect_url_expires_at"])
        assert timedelta(0) < expires_at - datetime.now(UTC) <= timedelta(minutes=15)
        assert (await client.get(model_id, "/chats")).status == 424

        # when its form is sent
        async with Browser(url) as browser:
            page = await browser.send(await browser.open(), email="typed@sandbox.test", password=PASSWORD)

        # then the model works (R14: by its UUID; R29: with its session)
        assert (page.status, page.title) == (200, "Typed behind a link is connected")
        shown = (await client.ask("GET", f"/models/{model_id}")).json["data"]
        assert (shown["state"], shown["provider"], shown["account"].isdigit()) == ("connected", "session", True)
        assert (await client.get(model_id, "/chats")).status == 200


async def test_a_sandbox_model_is_connected_at_once(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("POST", "/models", provider="sandbox", label="At once")
        data = answer.json["data"]
        assert (answer.status, data["model"]["state"]) == (201, "connected")
        assert (data["connect_url"], data["connect_url_expires_at"]) == (None, None)
        assert (await client.get(data["model"]["model_id"], "/chats")).status == 200
