"""Bodies that are refused before they reach a platform: never a 500, never a charge."""

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

MIB = 1_048_576
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "INVALID_REQUEST"),
        (b"\xff\xfe", JSON, 400, "INVALID_REQUEST"),
        (b"text=hi", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"text":"' + b"a" * MIB + b'"}', JSON, 413, "BODY_TOO_LARGE"),
    ],
    ids=["half", "not-utf8", "form", "gzip", "too-large"],
)
async def test_R050_a_bad_body_is_refused(
    stack: Stack, organization: Organization, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    before = await stack.balance(organization)
    path = f"/api/models/{organization.model_id}/chats/1001/messages"
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", path, body=body, headers=headers)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert await stack.balance(organization) == before


async def test_an_unknown_query_parameter_is_named(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.get(organization.model_id, "/chats?colour=red")

    assert answer.status == 400
    assert "colour" in answer.json["error"]
