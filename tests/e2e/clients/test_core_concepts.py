"""A client of Seed A works here with another base URL and key; what the seed says, sentence by sentence."""

import asyncio
import uuid
from typing import Any

import aiohttp
import pytest

from tests.e2e.clients.core_concepts import CoreConceptsClient, Proxied, RequestFailed
from tests.support.stack import Organization, Stack


def client_of(stack: Stack, key: str) -> CoreConceptsClient:
    return CoreConceptsClient(f"{stack.url}/api", key)


async def failed(call: Any) -> RequestFailed:
    with pytest.raises(RequestFailed) as caught:
        await call
    assert isinstance(caught.value.body["error"], str)
    return caught.value


async def served(stack: Stack, path: str) -> bytes:
    """The bytes that the platform sent last for a path."""
    async with aiohttp.ClientSession(stack.sandbox_url) as session:
        async with session.get("/_control/last", params={"path": path}) as answer:
            return await answer.read()


async def a_key(stack: Stack, organization: Organization, label: str) -> dict[str, Any]:
    return await stack.cli("auth", "key", "create", "--org", organization.org_id, "--role", "owner", "--label", label)


async def test_R031_R033_R034_the_data_field_is_the_raw_platform_data_exactly_as_returned(stack: Stack) -> None:
    own = await stack.an_organization()
    async with client_of(stack, own.key) as client:
        answer = await client.chats(own.model_id)
    assert answer.raw.startswith(b'{"data":' + await served(stack, "/chats") + b',"_meta":{')
    assert answer.credits["used"] == 1


async def test_R018_R020_most_calls_cost_one_credit_send_message_and_payout_stats_two(stack: Stack) -> None:
    own = await stack.an_organization(credits=100)
    async with client_of(stack, own.key) as client:
        answers: list[Proxied] = [
            await client.chats(own.model_id),
            await client.send_message(own.model_id, 1001, "hello"),
            await client.payout_stats(own.model_id),
        ]
    assert [answer.credits["used"] for answer in answers] == [1, 2, 2]
    assert [answer.credits["balance"] for answer in answers] == [99, 97, 95]
    assert await stack.balance(own) == 95


async def test_R004_R010_R021_all_keys_of_an_organization_share_its_balance(stack: Stack) -> None:
    own = await stack.an_organization(credits=10)
    second = await a_key(stack, own, "staging")
    async with client_of(stack, own.key) as first, client_of(stack, second["key"]) as other:
        balances = [(await client.chats(own.model_id)).credits["balance"] for client in (first, other, first, other)]
    assert balances == [9, 8, 7, 6]


async def test_R012_R014_R017_one_organization_has_several_models_each_with_a_uuid(stack: Stack) -> None:
    own = await stack.an_organization()
    login = ("--provider", "sandbox", "--label", "second", "--email", f"second-{own.org_id}@sandbox.test")
    second = await stack.cli(
        "sessions", "model", "connect", "--org", own.org_id, *login, "--password-stdin", stdin="sandbox-demo-password"
    )
    async with client_of(stack, own.key) as client:
        chats = [(await client.chats(model_id)).data for model_id in (own.model_id, second["model_id"])]
    assert chats[0] != chats[1]
    assert uuid.UUID(own.model_id) != uuid.UUID(second["model_id"])


async def test_R008_R025_step_2_the_key_must_be_active_and_belong_to_an_organization(stack: Stack) -> None:
    own = await stack.an_organization()
    revoked = await a_key(stack, own, "to be revoked")
    async with client_of(stack, revoked["key"]) as client:
        assert await client.chats(own.model_id)
        await stack.cli("auth", "key", "revoke", revoked["key_id"])
        after = await failed(client.chats(own.model_id))
    async with client_of(stack, "no such key") as client:
        never = await failed(client.chats(own.model_id))
    assert (after.status, never.status) == (401, 401)
    assert after.body["error"] == never.body["error"]


async def test_R026_step_3_the_organization_needs_an_active_subscription(stack: Stack) -> None:
    bare = await stack.an_organization(plan=None)
    async with client_of(stack, bare.key) as client:
        refused = await failed(client.chats(bare.model_id))
    assert (refused.status, refused.body["code"]) == (402, "NO_SUBSCRIPTION")


async def test_R005_R027_step_4_the_plans_rate_holds_for_the_whole_organization(stack: Stack) -> None:
    await stack.cli(
        "billing", "plan", "set", "--plan", "test-slow", "--credits", "1000", "--per-minute", "5", "--per-day", "50000"
    )
    slow = await stack.an_organization(plan="test-slow")
    second = await a_key(stack, slow, "second")
    async with client_of(stack, slow.key) as one, client_of(stack, second["key"]) as other:
        calls = [client.chats(slow.model_id) for client in (one, other) * 10]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, RequestFailed)]
    passed = [outcome for outcome in outcomes if isinstance(outcome, Proxied)]
    assert {error.status for error in refused} == {429}
    assert 5 <= len(passed) <= 10, "a minute may end in between"
    assert await stack.debits(slow, at_least=len(passed)) == len(passed), "refused calls cost nothing"


async def test_R028_step_5_the_balance_must_cover_the_cost(stack: Stack) -> None:
    poor = await stack.an_organization(credits=1)
    async with client_of(stack, poor.key) as client:
        refused = await failed(client.send_message(poor.model_id, 1001, "too dear"))
        assert (await client.chats(poor.model_id)).credits == {"used": 1, "balance": 0}
    assert (refused.status, refused.body["code"]) == (402, "INSUFFICIENT_CREDITS")


@pytest.mark.parametrize(("status", "told"), [(400, 400), (403, 403), (404, 404), (500, 502), (503, 502)])
async def test_R019_R035_R048_step_7_errors_cost_nothing_and_are_not_wrapped(
    stack: Stack, organization: Organization, status: int, told: int
) -> None:
    before = await stack.balance(organization)
    async with stack.fault(organization, route="chats_list", status=status):
        async with client_of(stack, organization.key) as client:
            refused = await failed(client.chats(organization.model_id))
    assert refused.status == told
    assert set(refused.body) == {"error", "code"}
    assert await stack.balance(organization) == before


async def test_R015_a_session_that_expired_is_renewed_without_the_caller(
    stack: Stack, organization: Organization
) -> None:
    async with stack.fault(organization, route="chats_list", expire_session=True, times=1):
        async with client_of(stack, organization.key) as client:
            assert (await client.chats(organization.model_id)).credits["used"] == 1
