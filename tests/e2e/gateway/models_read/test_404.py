"""A model that is another organization's is as absent as one that never was: on every route about one model."""

import uuid

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

ROUTES = {
    "models_read": ("GET", "", {}), "models_update": ("PATCH", "", {"label": "mine now"}), "models_delete": ("DELETE", "", {}),
    "models_submit_code": ("POST", "/2fa", {"code": "123456"}), "models_reconnect": ("POST", "/reconnect", {}),
    "models_disconnect": ("POST", "/disconnect", {}),
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
async def test_foreign_absent_and_malformed_are_one(stack: Stack, organization: Organization, route: str) -> None:
    method, tail, body = ROUTES[route]
    other = await stack.an_organization()
    async with GatewayClient(stack.url, organization.key) as client:
        answers = [
            await client.ask(method, f"/models/{model_id}{tail}", **body)
            for model_id in (other.model_id, str(uuid.uuid4()), "no-uuid")
        ]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
    assert answers[0].json["code"] == "MODEL_NOT_FOUND"
    async with GatewayClient(stack.url, other.key) as client:
        assert (await client.ask("GET", f"/models/{other.model_id}")).json["data"]["state"] == "connected"
