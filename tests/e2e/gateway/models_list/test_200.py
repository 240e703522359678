"""`GET /api/models`: newest first, page by page, without a secret."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack

MEMBERS = {
    "model_id", "provider", "label", "state", "reason", "account", "session_ends_at", "created_at", "updated_at",
}  # fmt: skip


async def test_R017_pages_join_to_the_whole_list(stack: Stack) -> None:
    organization = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        made = [organization.model_id]
        for number in range(3):
            answer = await client.ask("POST", "/models", provider="session", label=f"model {number}")
            made.append(answer.json["data"]["model"]["model_id"])
        seen, cursor = [], ""
        while True:
            answer = await client.ask("GET", f"/models?limit=2{cursor}")
            assert answer.status == 200
            seen += answer.json["data"]["models"]
            if (after := answer.json["data"]["next_cursor"]) is None:
                break
            cursor = f"&cursor={after}"
        assert [model["model_id"] for model in seen] == made[::-1]
        assert all(set(model) == MEMBERS for model in seen)
        assert (await client.ask("GET", "/models?cursor=x")).status == 400
