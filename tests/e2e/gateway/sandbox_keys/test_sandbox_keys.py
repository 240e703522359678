"""Sandbox keys (`fgt_`): the sandbox's models only, on a balance of the test organization's own."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_a_sandbox_key_pays_from_its_own_balance(stack: Stack) -> None:
    organization = await stack.a_sandbox_organization(credits=5)
    assert organization.key.startswith("fgt_")
    async with GatewayClient(stack.url, organization.key) as client:
        made = await client.ask("POST", "/models", provider="sandbox", label="Mine")
        assert made.status == 201, made.body
        model_id = made.json["data"]["model"]["model_id"]
        for _ in range(5):
            assert (await client.get(model_id, "/chats")).status == 200
        assert await stack.debits(organization, at_least=5) == 5
        refused = await stack.until_posted(lambda: client.get(model_id, "/chats"))
        assert (refused.status, refused.json["code"]) == (402, "INSUFFICIENT_CREDITS")
    assert await stack.ledger_is_sound(organization)


async def test_a_sandbox_key_reaches_no_other_provider(stack: Stack) -> None:
    organization = await stack.a_sandbox_organization()
    # given a model of a real provider in the same organization, as no sandbox key could have made it
    login = ("--provider", "session", "--label", "real", "--email", "real@sandbox.test", "--password-stdin")
    real = await stack.cli(
        "sessions", "model", "connect", "--org", organization.org_id, *login, stdin="sandbox-demo-password"
    )
    assert real["state"] == "connected"
    async with GatewayClient(stack.url, organization.key) as client:
        for answer in (
            await client.get(real["model_id"], "/chats"),
            await client.send_message(real["model_id"], "1001", "hello"),
            await client.ask("GET", f"/models/{real['model_id']}"),
            await client.ask("DELETE", f"/models/{real['model_id']}"),
        ):
            assert (answer.status, answer.json["code"]) == (404, "MODEL_NOT_FOUND")
        assert (await client.ask("GET", "/models")).json["data"]["models"] == []
        refused = await client.ask("POST", "/models", provider="session", label="not this way")
        assert (refused.status, refused.json["code"]) == (400, "INVALID_REQUEST")
    assert await stack.debits(organization) == 0
