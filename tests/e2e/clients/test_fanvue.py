"""A client of Seed D works here with another base URL and key; every documented operation, header and error is met."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from libs.common.contracts.versions import API_VERSIONS, NEWEST
from libs.common.ids import new_key
from tests.e2e.clients.fanvue import (
    FanvueClient,
    Forbidden,
    Gone,
    InvalidRequest,
    TooManyRequests,
    Unauthorised,
)
from tests.support.personal_keys import a_personal_key, a_user, an_edge_beside
from tests.support.stack import Organization, Stack

ALL = ("--scopes", "read:self,read:chat,read:fan,read:insights,read:creator,write:chat")
OLD = API_VERSIONS[0]


def client_of(stack: Stack, key: str | None, version: str | None = OLD, *, url: str = "") -> FanvueClient:
    return FanvueClient(f"{url or stack.url}/fanvue", key, version)


async def test_R142_R143_R144_R145_every_permitted_operation_answers_with_the_platforms_own_body(stack: Stack) -> None:
    own = await stack.an_organization()
    made = await a_personal_key(stack, own, "", *ALL)
    async with client_of(stack, made["key"]) as client:
        assert isinstance(await client.current_user(), dict)
        assert len((await client.chats(size="2"))["data"]) == 2
        await client.create_chat("1200")
        await client.send_message("1001", "from a client of seed D")
        assert "from a client of seed D" in str(await client.messages("1001", size="50"))
        for operation in (
            client.followers, client.subscribers, client.earnings, client.top_spenders, client.subscriber_counts,
        ):  # fmt: skip
            body = await operation()
            assert "_meta" not in body, "no envelope"
        assert client.limit is not None
        assert client.limit.remaining >= 0
    assert await stack.debits(own, at_least=11) == 11, "a message costs two, all else one"


async def test_R146_an_agencys_creators_their_chats_and_their_figures(stack: Stack) -> None:
    made = await a_personal_key(stack, await stack.an_organization(), "", *ALL)
    async with client_of(stack, made["key"]) as client:
        assert await client.creators()
        await client.of_creator("POST", "1001", "/chats", json={"userId": "1200"})
        await client.of_creator("POST", "1001", "/chats/1200/message", json={"text": "for a creator"})
        for path in (
            "/chats", "/chats/1200/messages", "/followers", "/subscribers", "/insights/earnings", "/insights/top-spenders",
            "/insights/subscribers",
        ):  # fmt: skip
            assert await client.of_creator("GET", "1001", path) is not None


async def test_R147_pages_and_filters_pass_through_and_what_is_not_documented_is_refused(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization)
    async with client_of(stack, made["key"]) as client:
        assert len((await client.chats(page="1", size="1"))["data"]) == 1
        for wrong in ({"size": "51"}, {"colour": "red"}, {"sortBy": "best"}):
            with pytest.raises(InvalidRequest, match=next(iter(wrong))):
                await client.chats(**wrong)


async def test_R154_R155_R156_every_response_tells_the_state_of_the_window(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization)
    async with client_of(stack, made["key"]) as client:
        await client.chats()
        assert client.limit is not None
        assert (client.limit.limit, client.limit.remaining) == (100, 99)
        assert 0 < client.limit.reset - datetime.now(UTC).timestamp() <= 61
        with pytest.raises(Forbidden):
            await client.send_message("1001", "no scope for this")
        assert client.limit.remaining in {98, 99}, "a new minute may have begun"


async def test_R157_a_client_that_backs_off_as_told_gets_through(stack: Stack, organization: Organization) -> None:
    made = await a_personal_key(stack, organization, "", "--key-per-minute", "2")
    async with client_of(stack, made["key"]) as client:
        outcomes = await asyncio.gather(*(client.chats() for _ in range(6)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, TooManyRequests)]
        assert refused
        assert all(1 <= outcome.retry_after <= 60 for outcome in refused)
        assert await client.patiently("GET", "/chats")


async def test_R123_R124_R158_a_scope_that_was_not_given_is_403_and_no_key_is_401(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization, "", "--scopes", "read:chat")
    async with client_of(stack, made["key"]) as client:
        assert await client.chats()
        for call in (client.send_message("1001", "x"), client.earnings(), client.top_spenders(), client.current_user()):
            with pytest.raises(Forbidden, match="Missing scope"):
                await call
    for key in (None, "fgu_nonsense", new_key("fgu_"), organization.key[:-1] + "x"):
        async with client_of(stack, key) as client:
            with pytest.raises(Unauthorised):
                await client.chats()


async def test_R125_R126_a_version_is_required_and_a_strange_one_is_refused(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization)
    for version in (None, "2024-01-01", "latest"):
        async with client_of(stack, made["key"], version) as client:
            with pytest.raises(InvalidRequest, match="version"):
                await client.chats()
    for version in API_VERSIONS:
        async with client_of(stack, made["key"], version) as client:
            assert await client.chats()


async def test_R127_R128_R129_R130_R131_a_version_is_deprecated_and_then_gone(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization)
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    deprecated, sunset = day - timedelta(days=1), day + timedelta(days=120)
    async with (
        an_edge_beside(stack, FANGATE_API_VERSION_DATES=f"{OLD}={deprecated.date()}/{sunset.date()}") as url,
        client_of(stack, made["key"], OLD, url=url) as client,
        client_of(stack, made["key"], NEWEST, url=url) as newer,
    ):
        await client.chats()
        assert client.lifecycle is not None
        assert (client.lifecycle.deprecated, client.lifecycle.sunset) == (deprecated, sunset)
        assert client.lifecycle.next_version == NEWEST
        await newer.chats()
        assert newer.lifecycle is None
    ended = day - timedelta(days=1)
    async with (
        an_edge_beside(
            stack, FANGATE_API_VERSION_DATES=f"{OLD}={(ended - timedelta(days=90)).date()}/{ended.date()}"
        ) as url,
        client_of(stack, made["key"], OLD, url=url) as client,
    ):
        with pytest.raises(Gone) as gone:
            await client.chats()
        async with client_of(stack, made["key"], gone.value.next_version, url=url) as newer:
            assert await newer.chats()


async def on_every_edge(urls: list[str], key: str) -> list[int]:
    headers = {"X-Fanvue-API-Key": key, "X-Fanvue-API-Version": OLD}
    async with aiohttp.ClientSession(headers=headers) as session:
        statuses = []
        for url in urls:
            async with session.get(f"{url}/fanvue/chats") as answer:
                statuses.append(answer.status)
    return statuses


async def manage(url: str, key: str, method: str, path: str = "", **options: Any) -> Any:
    headers = {"X-API-Key": key}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{url}/api/personal-key{path}", **options) as answer,
    ):
        assert answer.status < 300, await answer.text()
        return (await answer.json())["data"]


async def test_R121_R136_a_key_that_was_revoked_is_refused_on_the_next_call_at_every_edge(
    stack: Stack, organization: Organization
) -> None:
    made = await a_personal_key(stack, organization)
    async with an_edge_beside(stack) as other:
        urls = [stack.url, other]
        assert await on_every_edge(urls, made["key"]) == [200, 200]
        assert (await manage(stack.url, made["key"], "DELETE"))["state"] == "revoked"
        assert await on_every_edge([other, stack.url], made["key"]) == [401, 401]


async def test_R133_R137_a_successor_has_fewer_scopes_and_the_old_key_ends_everywhere_at_once(
    stack: Stack, organization: Organization
) -> None:
    user_id = await a_user(stack, organization)
    made = await a_personal_key(stack, organization, user_id, "--scopes", "read:chat,read:fan")
    async with an_edge_beside(stack) as other:
        urls = [stack.url, other]
        assert await on_every_edge(urls, made["key"]) == [200, 200]
        new = await manage(stack.url, made["key"], "POST", json={"scopes": ["read:fan"]})
        assert (new["key"]["scopes"], new["key"]["user_id"]) == (["read:fan"], user_id)
        assert await on_every_edge([other, stack.url], made["key"]) == [401, 401]
        assert await on_every_edge([other, stack.url], new["secret"]) == [403, 403], "read:chat is gone"
    assert (await manage(stack.url, new["secret"], "GET"))["key_id"] == new["key"]["key_id"]


async def test_R148_the_feature_is_switched_off_for_all_keys_of_users_at_once(stack: Stack) -> None:
    own = await stack.an_organization()
    made = await a_personal_key(stack, own)
    async with client_of(stack, made["key"]) as client:
        assert await client.chats()
        await stack.cli("auth", "org", "feature", own.org_id, "--disable", "personal_keys")
        with pytest.raises(Forbidden, match="not enabled"):
            await client.chats()


async def test_R122_R138_the_owner_reads_what_was_called_with_the_key(stack: Stack, organization: Organization) -> None:
    made = await a_personal_key(stack, organization)
    async with client_of(stack, made["key"]) as client:
        await client.chats()
        await client.messages("1001")
    for _ in range(50):
        calls = (await manage(stack.url, made["key"], "GET", "/calls?limit=1000"))["calls"]
        if "/fanvue/chats" in {call["path"] for call in calls}:
            break
        await asyncio.sleep(0.2)
    seen = [call for call in reversed(calls) if call["path"].startswith("/fanvue")]
    assert [(call["method"], call["path"], call["version"], call["status"]) for call in seen] == [
        ("GET", "/fanvue/chats", OLD, 200), ("GET", "/fanvue/chats/{fan_id}/messages", OLD, 200),
    ]  # fmt: skip
    report = await stack.cli("auth", "usage", "versions", "--version", OLD, "--days", "1")
    assert made["key_id"] in {caller["key_id"] for caller in report["callers"]}
