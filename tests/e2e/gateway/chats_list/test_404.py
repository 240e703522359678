"""Unknown paths, and models that are not the caller's: absent, never forbidden."""

import uuid

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


async def test_an_unknown_path_is_json(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("GET", "/api/nothing/here")

    assert answer.status == 404
    assert answer.json["code"] == "NOT_FOUND"
    assert set(answer.json) == {"error", "code"}


@pytest.mark.parametrize("model_id", ["not-a-uuid", pytest.param(str(uuid.uuid4()), id="absent"), "%00", "123"])
async def test_a_model_that_is_not_there(stack: Stack, organization: Organization, model_id: str) -> None:
    before = await stack.balance(organization)
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.get(model_id, "/chats")

    assert answer.status == 404
    assert answer.json["code"] == "MODEL_NOT_FOUND"
    assert await stack.balance(organization) == before


async def test_a_foreign_model_is_absent(stack: Stack, organization: Organization) -> None:
    other = await stack.an_organization(credits=5)
    async with GatewayClient(stack.url, other.key) as client:
        answer = await client.get(organization.model_id, "/chats")

    assert answer.status == 404
    assert answer.json["code"] == "MODEL_NOT_FOUND"
    assert await stack.balance(other) == 5
