"""A right that ended is refused on the very next call, on every edge: consent, token, app, user, organization, feature, role, scope."""

import asyncio
import time
from typing import Any

import pytest

from tests.support.apps import (
    PASSWORD,
    AnApp,
    Person,
    a_person,
    a_published_app,
    an_address,
    an_app,
    ask,
    tokens_of,
)
from tests.support.gateway_client import GatewayClient
from tests.support.stack import LOOK_SECONDS, SETTLE_SECONDS_MAX, Organization, Stack
from tests.support.visitor import Visitor

VERSION = {"X-API-Version": "2025-06-26"}


async def statuses(urls: tuple[str, str], organization: Organization, token: str) -> list[int]:
    """The same call on three surfaces of two edges, from where nobody came before: refusals are failures, and counted."""
    found = []
    bearer = {"Authorization": f"Bearer {token}", "X-Forwarded-For": an_address()}
    for url in urls:
        async with GatewayClient(url, None) as client:
            paths = (f"/api/models/{organization.model_id}/chats", f"/v1/{organization.account}/chats", "/fanvue/chats")
            found += [(await client.call("GET", path, headers=bearer | VERSION)).status for path in paths]
    return found


class World:
    """An app of one organization that a user of another allowed something."""

    def __init__(self, stack: Stack, urls: tuple[str, str], app: AnApp, person: Person, tokens: dict[str, Any]) -> None:
        self.stack, self.urls, self.app, self.person, self.tokens = stack, urls, app, person, tokens

    async def statuses(self) -> list[int]:
        return await statuses(self.urls, self.person.organization, self.tokens["access_token"])

    async def until(self, status: int) -> list[int]:
        """What the operator's command line does reaches edges by the bus, a moment later."""
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while (found := await self.statuses()) != [status] * 6 and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return found


@pytest.fixture
async def world(stack: Stack, two_edges: tuple[str, str], organization: Organization) -> World:
    if "other" not in _OTHER:
        _OTHER["other"] = await stack.an_organization(credits=1_000)
        for each in (_OTHER["other"], organization):
            await a_person(stack, each)  # an owner who stays: the last one cannot be suspended, nor lose that role
    app = await a_published_app(stack, await a_person(stack, _OTHER["other"]))
    person = await a_person(stack, organization)
    made = World(stack, two_edges, app, person, await tokens_of(stack, app, person))
    assert await made.statuses() == [200] * 6  # it is in the caches of both edges now
    return made


_OTHER: dict[str, Organization] = {}


async def test_R182_R167_a_consent_taken_back_on_the_page_is_refused_on_every_edge(world: World) -> None:
    async with Visitor(world.stack.url) as visitor:
        await visitor.sign_in(world.person.email, PASSWORD)
        page = await visitor.get("/account/apps")
        assert "Chat Helper" in page.text
        assert "Read your chats and messages" in page.text
        assert (await visitor.post("/account/apps/revoke", page)).status == 303
        assert await world.statuses() == [401] * 6
        assert "Chat Helper" not in (await visitor.get("/account/apps")).text
    refused = await ask(
        world.stack, world.app, "token", grant_type="refresh_token", refresh_token=world.tokens["refresh_token"]
    )
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")


async def test_R167_a_grant_revoked_by_the_organization_is_refused_on_every_edge(world: World) -> None:
    async with GatewayClient(world.urls[1], world.person.organization.key) as client:
        listed = (await client.ask("GET", "/grants")).json["data"]["grants"]
        grant = next(each for each in listed if each["user_id"] == world.person.user_id)
        assert (grant["app"], grant["state"], grant["scopes"]) == ("Chat Helper", "active", ["read:chat", "read:self"])
        ended = await client.ask("DELETE", f"/grants/{grant['grant_id']}")
        assert ended.json["data"]["state"] == "revoked"
        assert await world.statuses() == [401] * 6
    async with GatewayClient(world.stack.url, _OTHER["other"].key) as stranger:
        assert (await stranger.ask("DELETE", f"/grants/{grant['grant_id']}")).status == 404


async def test_R181_deleting_an_app_ends_its_grants_and_tokens_at_once(world: World) -> None:
    async with GatewayClient(world.urls[1], world.app.owner.organization.key) as client:
        deleted = await client.ask("DELETE", f"/apps/{world.app.client_id}")
        assert (deleted.status, deleted.json["data"]["state"]) == (200, "deleted")
        assert await world.statuses() == [401] * 6
        assert (await client.ask("GET", f"/apps/{world.app.client_id}")).json["data"]["state"] == "deleted"
        assert world.app.client_id not in (await client.ask("GET", "/apps")).body.decode()
    answer = await ask(
        world.stack, world.app, "token", grant_type="refresh_token", refresh_token=world.tokens["refresh_token"]
    )
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    async with GatewayClient(world.stack.url, world.person.organization.key) as client:
        log = (await client.ask("GET", "/audit-log?limit=20")).json["data"]["entries"]
    assert ("grant.revoke", "the app was deleted") in {(each["action"], each["details"].get("reason")) for each in log}


async def test_a_token_given_back_is_refused_on_every_edge(world: World) -> None:
    other = await tokens_of(world.stack, world.app, world.person)
    assert (await ask(world.stack, world.app, "revoke", token=world.tokens["access_token"])).status == 200
    assert await world.statuses() == [401] * 6
    world.tokens = other
    assert await world.statuses() == [200] * 6, "another one of the same grant goes on"
    done = await ask(world.stack, world.app, "revoke", url=world.urls[1], token=other["refresh_token"])
    assert done.status == 200
    assert await world.statuses() == [401] * 6, "a refresh token takes its family along"
    assert (await ask(world.stack, world.app, "revoke", token="unknown")).status == 200


async def test_R184_the_operator_ends_an_app_at_once(world: World) -> None:
    cut = await world.stack.cli("auth", "app", "suspend", world.app.client_id)
    assert cut["organizations_cut_off"] == 1
    assert await world.until(401) == [401] * 6
    await world.stack.cli("auth", "app", "resume", world.app.client_id)
    assert await world.statuses() == [401] * 6, "what ended stays ended: users are asked anew"
    world.tokens = await tokens_of(world.stack, world.app, world.person)
    assert await world.statuses() == [200] * 6


@pytest.mark.parametrize("what", ["owner", "owners_organization"])
async def test_R184_the_operator_stops_who_is_behind_an_app_and_lets_go_on(world: World, what: str) -> None:
    owner = world.app.owner
    stop, resume = {
        "owner": (("user", "suspend", owner.user_id), ("user", "resume", owner.user_id)),
        "owners_organization": (
            ("org", "suspend", owner.organization.org_id), ("org", "resume", owner.organization.org_id),
        ),
    }[what]  # fmt: skip
    await world.stack.cli("auth", *stop)
    assert await world.until(401) == [401] * 6
    await world.stack.cli("auth", *resume)
    fresh = await tokens_of(world.stack, world.app, world.person)
    assert fresh["access_token"]


async def test_R184_a_user_who_is_suspended_is_out_everywhere(world: World) -> None:
    async with Visitor(world.stack.url) as visitor:
        await visitor.sign_in(world.person.email, PASSWORD)
        assert (await visitor.get("/account")).status == 200
        await world.stack.cli("auth", "user", "suspend", world.person.user_id)
        assert (await visitor.get("/account")).status == 303
        assert (await visitor.sign_in(world.person.email, PASSWORD)).status == 400
    assert await world.until(401) == [401] * 6


async def test_fewer_scopes_take_the_place_of_more(world: World) -> None:
    narrow = await tokens_of(world.stack, world.app, world.person, scope="read:self")
    assert await world.statuses() == [401] * 6, "the wider grant has ended"
    world.tokens = narrow
    assert await world.statuses() == [403] * 6
    async with GatewayClient(world.stack.url, narrow["access_token"]) as client:
        refused = await client.get(world.person.organization.model_id, "/chats")
    assert refused.headers["X-Error-Code"] == "SCOPE_MISSING"
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


async def test_a_user_whose_role_is_narrowed_lends_no_more_than_is_left(world: World) -> None:
    async with GatewayClient(world.stack.url, world.person.organization.key) as client:
        path = f"/organization/users/{world.person.user_id}"
        assert (await client.ask("PATCH", path, role="takedowns")).status == 200
        assert await world.statuses() == [403] * 6
        assert (await client.ask("PATCH", path, role="owner")).status == 200
    assert await world.statuses() == [200] * 6


async def test_R148_without_the_feature_apps_are_refused_on_the_next_call(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=100)
    person = await a_person(stack, tenant)
    tokens = await tokens_of(stack, await an_app(stack, person), person)
    async with GatewayClient(stack.url, tokens["access_token"]) as client:
        assert (await client.get(tenant.model_id, "/chats")).status == 200
        await stack.cli("auth", "org", "feature", tenant.org_id, "--disable", "apps")
        refused = await stack.until(lambda: client.get(tenant.model_id, "/chats"), status=403)
        assert refused.json["code"] == "NOT_ENABLED"
        async with GatewayClient(stack.url, tenant.key) as owner:
            order = {"name": "x", "owner_id": person.user_id, "redirect_uris": ["https://app.example.com/c"]}
            assert (await owner.ask("POST", "/apps", **order)).json["code"] == "NOT_ENABLED"


async def test_a_token_of_an_app_is_of_no_use_elsewhere(world: World) -> None:
    stranger = _OTHER["other"]
    async with GatewayClient(world.stack.url, world.tokens["access_token"]) as client:
        assert (await client.get(stranger.model_id, "/chats")).status == 404, "another organization's model"
        platform = await client.call("GET", "/api/platforms/creators")
        assert platform.status == 403
        for path in ("/keys", "/organization", "/apps", "/grants", "/personal-key", "/audit-log"):
            assert (await client.ask("GET", path)).status == 403, path
        who = (await client.ask("GET", "/whoami")).json["data"]
        assert (who["kind"], who["user_id"]) == ("oauth_access", world.person.user_id)
        refresh_as_key = await client.call("GET", "/api/whoami", headers={"X-API-Key": world.tokens["refresh_token"]})
        assert refresh_as_key.status == 401
