"""What cannot be connected: 400, 403, 409."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack


@pytest.mark.parametrize(
    "body",
    [
        {"provider": "sandbox"}, {"label": "x"}, {"provider": "nobody", "label": "x"}, {"provider": "fanvue"},
        {"provider": "sandbox", "label": ""}, {"provider": "sandbox", "label": "x" * 101}, {"provider": 1, "label": "x"},
    ],
)  # fmt: skip
async def test_400(stack: Stack, organization: Organization, body: dict[str, object]) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("POST", "/models", **body)
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST"), answer.body
    assert any(name in answer.json["error"] for name in ("label", "provider"))


async def test_409_a_label_that_is_taken(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        first = await client.ask("POST", "/models", provider="sandbox", label="Taken")
        second = await client.ask("POST", "/models", provider="sandbox", label="Taken")
    assert (first.status, second.status, second.json["code"]) == (201, 409, "CONFLICT")
