"""`PATCH /api/models/{model_id}`: another label, nothing else."""

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Stack


async def test_a_label_is_changed(stack: Stack) -> None:
    organization = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        before = (await client.ask("GET", f"/models/{organization.model_id}")).json["data"]
        answer = await client.ask("PATCH", f"/models/{organization.model_id}", label=" Renamed ")
        assert answer.status == 200
        after = answer.json["data"]
        assert after["label"] == "Renamed"
        assert {name for name in after if after[name] != before[name]} == {"label", "updated_at"}
        assert (await client.ask("PATCH", f"/models/{organization.model_id}", label="\n")).status == 400
        assert (await client.get(organization.model_id, "/chats")).status == 200
