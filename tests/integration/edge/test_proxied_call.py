"""One proxied call through a whole edge: what is shown, what is charged, what is sent on."""

import pytest

from services.edge.domain.upstream import Upstream
from tests.support.edge import PLATFORM_BODY, running_edge
from tests.support.gateway_client import GatewayClient


async def test_R033_R034_a_2xx_is_wrapped_and_the_platforms_bytes_are_untouched(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(50)
        async with GatewayClient(edge.url, key) as client:
            answer = await client.get(str(model), "/chats?page=1&size=10")
    assert answer.status == 200
    assert answer.data_bytes == PLATFORM_BODY
    assert answer.body == (
        b'{"data":'
        + PLATFORM_BODY
        + b',"_meta":{"_credits":{"used":1,"balance":49},"_rate_limits":{"limit_minute":100000,'
        b'"remaining_minute":99999,"limit_day":1000000,"remaining_day":999999}}}'
    )
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert set(headers) == {
        "content-type", "content-length", "date", "cache-control", "x-content-type-options", "strict-transport-security",
        "x-request-id", "x-api-version", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
    }  # fmt: skip
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("100000", "99999")
    assert edge.billing.balances[principal.org_id] == 49
    (call, body) = edge.sessions.calls[0]
    assert (call.route, call.query, body) == ("chats_list", "page=1&size=10", b"")


async def test_R020_send_message_costs_two(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, principal, model = edge.organization(50)
        async with GatewayClient(edge.url, key) as client:
            answer = await client.send_message(str(model), "42", "hello")
    assert (answer.status, answer.used) == (200, 2)
    assert edge.billing.balances[principal.org_id] == 48
    (call, body) = edge.sessions.calls[0]
    assert call.path_params == {"fan_id": "42"}
    assert body == b'{"text": "hello"}'


@pytest.mark.parametrize(
    ("status", "body", "shown", "data"),
    [(201, b"{}", 201, b"{}"), (202, b"[]", 202, b"[]"), (204, b"", 200, b"null"), (200, b"", 200, b"null")],
)
async def test_statuses_of_success(redis_url: str, status: int, body: bytes, shown: int, data: bytes) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        edge.sessions.upstream = Upstream(status, body)
        async with GatewayClient(edge.url, key) as client:
            answer = await client.get(str(model), "/chats")
    assert (answer.status, answer.data_bytes, answer.used) == (shown, data, 1)


async def test_R036_R037_both_headers_work_and_health_needs_none(redis_url: str) -> None:
    async with running_edge(redis_url) as edge:
        key, _, model = edge.organization()
        async with GatewayClient(edge.url, None) as client:
            bearer = await client.call("GET", f"/api/models/{model}/chats", headers={"Authorization": f"bearer {key}"})
            both = await client.call(
                "GET", f"/api/models/{model}/chats", headers={"Authorization": f"Bearer {key}", "X-API-Key": key}
            )
            health = await client.call("GET", "/api/health")
    assert (bearer.status, both.status) == (200, 200)
    assert (health.status, health.body) == (200, b'{"status":"ok"}')
