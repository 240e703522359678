"""`DELETE /api/models/{model_id}`: gone for the API and for every call."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_a_deleted_model_is_not_found_any_more(stack: Stack) -> None:
    organization = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        assert (await client.get(organization.model_id, "/chats")).status == 200
        answer = await client.ask("DELETE", f"/models/{organization.model_id}")
        assert (answer.status, answer.json["data"]["state"]) == (200, "deleted")
        for gone in (
            await client.ask("GET", f"/models/{organization.model_id}"),
            await client.ask("DELETE", f"/models/{organization.model_id}"),
            await client.get(organization.model_id, "/chats"),
        ):
            assert (gone.status, gone.json["code"]) == (404, "MODEL_NOT_FOUND")
        assert (await client.ask("GET", "/models")).json["data"]["models"] == []
