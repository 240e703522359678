"""The id that a caller reads in `X-Request-Id` finds the request in the log of every service that had a part in it."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from libs.common.telemetry.trace import is_sampled_id
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import LOOK_SECONDS, SETTLE_SECONDS_MAX, Organization, Stack

TRIES = 2_000  # one in a hundred is logged: that none of these is happens once in 5 * 10^8
AT_ONCE = 8
TRACE = "4bf92f3577b34da6a3ce929d0e0e0000"  # a caller's own, which is sampled: its end is a multiple of 100


def lines_about(stack: Stack, service: str, name: str, value: str) -> list[dict[str, Any]]:
    """The lines of all processes of a service whose field `name` is `value`."""
    logs = (stack.folder / "log").glob(f"{service}*.log")
    lines = (line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
    return [told for line in lines if value in line and (told := json.loads(line)).get(name) == value]


async def until_told(stack: Stack, service: str, name: str, value: str) -> list[dict[str, Any]]:
    """The same, once there is one: a service may tell a moment after the caller has its answer."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while not (found := lines_about(stack, service, name, value)) and time.monotonic() < end:
        await asyncio.sleep(LOOK_SECONDS)
    return found


async def a_sampled(call: Callable[[int], Awaitable[Answer]]) -> str:
    """Call until a request is one of those that are logged although they went well; its id."""

    for first in range(0, TRIES, AT_ONCE):
        for answer in await asyncio.gather(*(call(number) for number in range(first, first + AT_ONCE))):
            assert answer.status in {200, 201}, answer.body
            if is_sampled_id(UUID(answer.headers["X-Request-Id"])):
                return answer.headers["X-Request-Id"]
    raise AssertionError(f"none of {TRIES} calls is sampled")


async def a_client_with_a_creator(client: GatewayClient) -> str:
    creator = {
        "stage_name": "Luna Vale", "email": f"{uuid.uuid4().hex}@example.com",
        "official_links": [{"platform": "onlyfans", "handle": "lunavale"}],
    }  # fmt: skip
    made = await client.call(
        "POST", "/api/platforms/submit-creators", body=json.dumps({"creators": [creator]}).encode()
    )
    assert made.status == 201, made.body
    return str((await client.call("GET", "/api/platforms/creators")).json["creators"][0]["id"])


async def test_a_call_is_found_in_edge_sessions_and_billing(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        request_id = await a_sampled(lambda _: client.get(organization.model_id, "/chats"))
    (edge,) = await until_told(stack, "edge", "request_id", request_id)
    assert (edge["event"], edge["status"], edge["org_id"]) == ("request", 200, organization.org_id)
    (sessions,) = await until_told(stack, "sessions", "request_id", request_id)
    assert (sessions["type"], sessions["outcome"]) == ("sessions.rpc.proxy.v1", "ok")
    (billing,) = await until_told(stack, "billing", "request_id", request_id)
    assert (billing["event"], billing["org_id"], billing["credits"]) == ("usage posted", organization.org_id, 1)


async def test_a_call_that_fails_is_found_always(stack: Stack, organization: Organization) -> None:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.get(str(uuid.uuid4()), "/chats")
    assert answer.status == 404
    request_id = answer.headers["X-Request-Id"]
    for service, outcome in (("edge", ("code", "MODEL_NOT_FOUND")), ("sessions", ("outcome", "error"))):
        (line,) = await until_told(stack, service, "request_id", request_id)
        assert line[outcome[0]] == outcome[1]


async def test_a_submission_is_found_in_edge_takedowns_and_billing(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=5_000)
    async with GatewayClient(stack.url, tenant.key) as client:
        creator_id = await a_client_with_a_creator(client)

        async def submit(number: int) -> Answer:
            group = {"creator_id": creator_id, "urls": [f"https://t.me/found/{number}"]}
            return await client.call(
                "POST", "/api/platforms/submit-urls", body=json.dumps({"groups": [group]}).encode(),
                headers={"traceparent": f"00-{TRACE[:-8]}{number:04x}0000-00f067aa0ba902b7-00"},
            )  # fmt: skip

        answer = await submit(1)
    assert answer.status == 201, answer.body
    # the caller's trace: the edge's line leads from the request's id to it
    trace = f"{TRACE[:-8]}00010000"
    (edge,) = await until_told(stack, "edge", "request_id", answer.headers["X-Request-Id"])
    assert edge["trace_id"] == trace
    takedowns = await until_told(stack, "takedowns", "trace_id", trace)
    assert "takedowns.rpc.urls.submit.v1" in {line["type"] for line in takedowns}
    wanted = {"billing.rpc.lease.open.v1", "takedowns.batch.debited.v1"}  # the lease, and the debit behind it
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while not wanted <= {line["type"] for line in lines_about(stack, "billing", "trace_id", trace)}:
            await asyncio.sleep(LOOK_SECONDS)
