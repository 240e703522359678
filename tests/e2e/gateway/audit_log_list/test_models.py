"""What was done with models: who, what, when, from where."""

import asyncio
from typing import Any

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def lines_about(client: GatewayClient, model_id: str, *, count: int) -> list[Any]:
    """The log's lines about a model, oldest first, once there are so many: they come from another service by an event."""
    async with asyncio.timeout(20):
        while True:
            entries = (await client.ask("GET", "/audit-log?limit=1000")).json["data"]["entries"]
            found = [entry for entry in reversed(entries) if entry["object_id"] == model_id]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


async def test_every_change_of_a_model_is_in_the_log(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.ask("GET", "/whoami")).json["data"]["key_id"]
        made = await client.ask("POST", "/models", provider="sandbox", label="in the log")
        model_id = made.json["data"]["model"]["model_id"]
        await client.ask("PATCH", f"/models/{model_id}", label="in the log, renamed")
        await client.ask("POST", f"/models/{model_id}/disconnect")
        await client.ask("POST", f"/models/{model_id}/reconnect")
        await client.ask("DELETE", f"/models/{model_id}")
        lines = await lines_about(client, model_id, count=5)
    assert [line["action"] for line in lines] == [
        "model.connect", "model.update", "model.disconnect", "model.reconnect", "model.delete",
    ]  # fmt: skip
    for line in lines:
        assert (line["by"], line["key_id"], line["address"]) == ("key", me, "127.0.0.1")
    assert lines[0]["details"] == {"provider": "sandbox", "label": "in the log"}
    assert lines[1]["details"] == {"label": {"from": "in the log", "to": "in the log, renamed"}}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
