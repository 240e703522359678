"""Everything a platform can do wrong, through the whole system: the documented status, a flat body, no charge."""

from typing import Any

import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

FAULTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("server_error", {"status": 500}, 502, "OF_API_ERROR"),
    ("bad_gateway", {"status": 503}, 502, "OF_API_ERROR"),
    ("dropped", {"drop": True}, 502, "OF_API_ERROR"),
    ("garbage", {"garbage": True}, 502, "OF_API_ERROR"),
    ("not_found", {"status": 404}, 404, "UPSTREAM_NOT_FOUND"),
    ("gone", {"status": 410}, 404, "UPSTREAM_NOT_FOUND"),
    ("bad_request", {"status": 400}, 400, "UPSTREAM_REJECTED"),
    ("unprocessable", {"status": 422}, 400, "UPSTREAM_REJECTED"),
    ("conflict", {"status": 409}, 409, "UPSTREAM_REJECTED"),
    ("forbidden", {"status": 403}, 403, "UPSTREAM_FORBIDDEN"),
    ("payment", {"status": 402}, 403, "UPSTREAM_FORBIDDEN"),
    ("rate_limited", {"rate_limit": True}, 503, "UPSTREAM_RATE_LIMITED"),
]


@pytest.mark.parametrize(("name", "fault", "status", "code"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_R019_R058_a_failing_platform_costs_nothing(
    stack: Stack, organization: Organization, name: str, fault: dict[str, Any], status: int, code: str
) -> None:
    before = await stack.balance(organization)
    async with stack.fault(organization, route="chats_list", **fault):
        async with GatewayClient(stack.url, organization.key) as client:
            answer = await client.get(organization.model_id, "/chats")

    assert (answer.status, answer.json["code"]) == (status, code)
    assert set(answer.json) == {"error", "code"}
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert await stack.balance(organization) == before


async def test_an_expired_session_is_refreshed_unseen(stack: Stack, organization: Organization) -> None:
    async with stack.fault(organization, route="chats_list", expire_session=True, times=1):
        async with GatewayClient(stack.url, organization.key) as client:
            answer = await client.get(organization.model_id, "/chats")

    assert answer.status == 200
    assert answer.used == 1
