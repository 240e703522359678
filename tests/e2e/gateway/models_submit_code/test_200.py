"""`POST /api/models/{model_id}/2fa`: the code that the platform asks for, by API or on the page; 409 when none is asked for."""

from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

PASSWORD = "sandbox-demo-password"


async def test_a_wrong_code_may_be_corrected(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        made = await client.ask("POST", "/models", provider="sandbox", label="Two factors", connect_link=True)
        model_id = made.json["data"]["model"]["model_id"]
        early = await client.ask("POST", f"/models/{model_id}/2fa", code="123456")
        assert (early.status, early.json["code"]) == (409, "CONFLICT")
        async with Browser(made.json["data"]["connect_url"]) as browser:
            page = await browser.send(await browser.open(), email="two-factor-api@sandbox.test", password=PASSWORD)
            assert page.fields == ["code"]

        wrong = await client.ask("POST", f"/models/{model_id}/2fa", code="000000")
        assert (wrong.status, wrong.json["data"]["state"]) == (200, "awaiting_2fa")
        assert wrong.json["data"]["reason"] == "code_refused"
        right = await client.ask("POST", f"/models/{model_id}/2fa", code="123456")
        assert (right.status, right.json["data"]["state"]) == (200, "connected")
        assert (await client.ask("POST", f"/models/{model_id}/2fa", code="")).status == 400
