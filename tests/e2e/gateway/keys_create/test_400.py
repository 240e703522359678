"""Orders that cannot be served; no key is made."""

import json
from typing import Any

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"role": "messaging"}, "body: object missing required field `label`"),
    ({"label": 7, "role": "messaging"}, "label: expected `str`, got `int`"),
    ({"label": " ", "role": "messaging"}, "A label has 1 to 100 printable characters"),
    ({"label": "x", "role": "messaging", "expires_at": "2020-01-01T00:00:00Z"}, "A key's expiry lies in the future"),
    ({"label": "x", "role": "messaging", "expires_at": "tomorrow"}, "expires_at: invalid RFC3339 encoded datetime"),
    ({"label": "x", "role": "messaging", "per_minute": 0}, "A key's limit is 1 to 1000000 calls a minute"),
    ({"label": "x", "role": "messaging", "model_id": "m"}, "model_id: invalid UUID"),
]


@pytest.mark.parametrize(("order", "error"), WRONG)
async def test_R050_it_says_what_and_where(
    stack: Stack, organization: Organization, order: dict[str, Any], error: str
) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.call("POST", "/api/keys", body=json.dumps(order).encode())
    assert (answer.status, answer.json) == (400, {"error": error, "code": "INVALID_REQUEST"})
