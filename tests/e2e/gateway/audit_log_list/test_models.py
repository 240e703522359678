"""What was done with models: who, what, when, from where."""

from typing import Any

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_every_change_of_a_model_is_in_the_log(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        me = (await client.ask("GET", "/whoami")).json["data"]["key_id"]
        made = await client.ask("POST", "/models", provider="sandbox", label="in the log")
        model_id = made.json["data"]["model"]["model_id"]
        await client.ask("PATCH", f"/models/{model_id}", label="in the log, renamed")
        await client.ask("POST", f"/models/{model_id}/disconnect")
        await client.ask("POST", f"/models/{model_id}/reconnect")
        await client.ask("DELETE", f"/models/{model_id}")

        def about(data: Any) -> list[Any]:
            return [entry for entry in reversed(data["entries"]) if entry["object_id"] == model_id]

        log = await stack.until_seen(
            lambda: client.ask("GET", "/audit-log?limit=1000"), lambda data: len(about(data)) == 5
        )
    lines = about(log)
    assert [line["action"] for line in lines] == [
        "model.connect", "model.update", "model.disconnect", "model.reconnect", "model.delete",
    ]  # fmt: skip
    for line in lines:
        assert (line["by"], line["key_id"], line["address"]) == ("key", me, "127.0.0.1")
    assert lines[0]["details"] == {"provider": "sandbox", "label": "in the log"}
    assert lines[1]["details"] == {"label": {"from": "in the log", "to": "in the log, renamed"}}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
