"""A client of Seed B works here with another base URL and key; every documented error is met."""

import asyncio
import contextlib
import io
from typing import Any

import aiohttp
import pytest

from libs.common.ids import new_key
from tests.e2e.clients.metric import ApiError, Failure, MetricClient, Page
from tests.support.stack import Organization, Stack

MIB = 1_048_576


def client_of(stack: Stack, key: str | None, *, bearer: bool = True) -> MetricClient:
    return MetricClient(f"{stack.url}/v1", key, bearer=bearer)


async def failed(call: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("bearer", [True, False])
async def test_R036_R037_both_headers_and_both_names_of_an_account(
    stack: Stack, organization: Organization, bearer: bool
) -> None:
    async with client_of(stack, organization.key, bearer=bearer) as client:
        by_uuid = await client.chats(organization.model_id)
        by_number = await client.chats(organization.account)
    assert by_uuid.data == by_number.data
    assert by_number.remaining_day == by_uuid.remaining_day - 1


async def test_a_call_by_account_number_is_charged_like_any(stack: Stack) -> None:
    own = await stack.an_organization(credits=10)
    async with client_of(stack, own.key) as client:
        await client.send_message(own.account, 1001, "by number")
        await client.call("GET", own.account, "/campaigns")
        assert await stack.balance(own) == 7


async def test_R040_R053_a_role_without_the_permission_is_403(stack: Stack, organization: Organization) -> None:
    async with client_of(stack, organization.limited_key) as client:
        refused = await failed(client.send_message(organization.account, 1001, "may not"))
        assert await client.chats(organization.account)
    assert refused.kind is Failure.PERMISSION
    assert "api_messages_send" in str(refused)


async def test_R047_headroom_is_reported_on_every_success_and_shared_by_all_keys(stack: Stack) -> None:
    own = await stack.an_organization()
    async with client_of(stack, own.key) as one, client_of(stack, own.limited_key) as other:
        pages = [await client.chats(own.account) for client in (one, other, one)]
    assert [page.remaining_day for page in pages] == [49_999, 49_998, 49_997]
    assert pages[0].remaining_minute == 999


async def test_R050_malformed_requests(stack: Stack, organization: Organization) -> None:
    async with client_of(stack, organization.key) as client:
        unknown = await failed(client.chats(organization.account, colour="red"))
        enum_value = await failed(client.chats(organization.account, sortBy="best"))
        path = "/chats/1001/messages"
        json = {"Content-Type": "application/json"}
        body = await failed(client.call("POST", organization.account, path, data=b'{"text":', headers=json))
    assert {error.kind for error in (unknown, enum_value, body)} == {Failure.MALFORMED}
    assert "colour" in str(unknown)
    assert "most_recent_messages" in str(enum_value)


async def test_R051_authentication_failures_cost_nothing(stack: Stack) -> None:
    own = await stack.an_organization(credits=10)
    create = ("auth", "key", "create", "--org", own.org_id, "--role", "owner", "--label", "revoked")
    revoked = await stack.cli(*create)
    await stack.cli("auth", "key", "revoke", revoked["key_id"])
    for key in (None, "fm_api_of_another_product", new_key("fgk_"), revoked["key"]):
        async with client_of(stack, key) as client:
            assert (await failed(client.chats(own.account))).kind is Failure.AUTH
    assert await stack.balance(own) == 10


async def test_R052_R174_without_a_subscription_the_text_says_what_to_repair(stack: Stack) -> None:
    bare = await stack.an_organization(plan=None)
    async with client_of(stack, bare.key) as client:
        refused = await failed(client.chats(bare.account))
    assert refused.kind is Failure.BILLING
    assert "billing" in str(refused)


async def test_R054_not_found_upstream_or_here(stack: Stack, organization: Organization) -> None:
    async with client_of(stack, organization.key) as client:
        here = [await failed(client.chats(account)) for account in ("999", "no-account")]
        here.append(await failed(client.call("GET", organization.account, "/no-such-path")))
        upstream = await failed(client.call("GET", organization.account, "/chats/999999999"))
    assert {error.kind for error in [*here, upstream]} == {Failure.NOT_FOUND}


async def test_R055_a_body_over_one_mebibyte(stack: Stack, organization: Organization) -> None:
    async with client_of(stack, organization.key) as client:
        body = io.BytesIO(b'{"text":"' + b"x" * MIB + b'"}')
        json = {"Content-Type": "application/json"}
        refused = await failed(
            client.call("POST", organization.account, "/chats/1001/messages", data=body, headers=json)
        )
    assert refused.kind is Failure.TOO_LARGE


async def test_R056_sync_lost_until_the_session_is_restored(stack: Stack) -> None:
    own = await stack.an_organization()
    async with client_of(stack, own.key) as client:
        async with contextlib.AsyncExitStack() as faults:
            for route in ("auth_login", "auth_refresh"):
                await faults.enter_async_context(stack.fault(own, route=route, status=401))
            async with aiohttp.ClientSession(stack.sandbox_url) as session:
                await session.post("/_control/expire-sessions", json={"account": int(own.account)})
            lost = [await failed(client.chats(own.account)) for _ in range(2)]
        assert {error.kind for error in lost} == {Failure.SYNC_LOST}
        await stack.cli("sessions", "model", "refresh", own.model_id)
        assert await client.chats(own.account)


@pytest.mark.parametrize(("per_minute", "per_day"), [(5, 1_000), (1_000, 5)], ids=["minute", "day"])
async def test_R045_R046_R057_either_window_is_429_and_free(stack: Stack, per_minute: int, per_day: int) -> None:
    plan = f"test-{per_minute}-{per_day}"
    limits = ("--credits", "1000", "--per-minute", str(per_minute), "--per-day", str(per_day))
    await stack.cli("billing", "plan", "set", "--plan", plan, *limits)
    own = await stack.an_organization(plan=plan)
    async with client_of(stack, own.key) as client:
        outcomes = await asyncio.gather(*(client.chats(own.account) for _ in range(20)), return_exceptions=True)
    passed = [outcome for outcome in outcomes if isinstance(outcome, Page)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, ApiError)]
    assert {error.kind for error in refused} == {Failure.RATE_LIMIT}
    assert len(passed) == 5 or (per_minute == 5 and 5 <= len(passed) <= 10), "a minute may end in between"
    assert await stack.debits(own, at_least=len(passed)) == len(passed)


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"drop": True}, {"garbage": True}], ids=["500", "dropped", "garbage"]
)
async def test_R058_failures_of_the_platform_are_5xx_and_free(
    stack: Stack, organization: Organization, fault: dict[str, Any]
) -> None:
    before = await stack.balance(organization)
    async with stack.fault(organization, route="chats_list", **fault):
        async with client_of(stack, organization.key) as client:
            assert (await failed(client.chats(organization.account))).kind is Failure.SERVER
    assert await stack.balance(organization) == before
