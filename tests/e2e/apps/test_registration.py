"""Registering apps by the API: what may be one, whose hosts it names, and how its secret changes."""

import json
import uuid
from typing import Any

import pytest

from tests.support.apps import (
    PASSWORD,
    a_person,
    a_pkce,
    a_published_app,
    an_app,
    ask,
    auth_path,
    refresh,
    tokens_of,
)
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack
from tests.support.visitor import Visitor

GOOD = "https://app.example.com/callback"


async def order(stack: Stack, organization: Organization, owner: str, **changed: Any) -> Answer:
    body = {"name": "Helper", "owner_id": owner, "redirect_uris": [GOOD]} | changed
    async with GatewayClient(stack.url, organization.key) as client:
        return await client.call("POST", "/api/apps", body=json.dumps(body).encode())


BAD_REDIRECTS = [
    "http://app.example.com/callback", "https://app.example.com/callback#x", "https://user@app.example.com/callback",
    "https://*.example.com/callback", "https://192.0.2.7/callback", "https://[2001:db8::1]/callback", "https://127.1/x",
    "https://localhost/callback", "http://localhost/callback", "https://app.example.com/call back", "ftp://app.example.com/",
    "https://", "https://app_x.example.com/", "https://äpp.example.com/", "https://app.example.com:99999/", "app:/callback",
    "https://app.example.com\\@evil.example/", "http://127.0.0.1.example.com/",
]  # fmt: skip


@pytest.mark.parametrize("uri", BAD_REDIRECTS)
async def test_R150_a_redirect_leads_to_a_host_by_name_over_https(
    stack: Stack, organization: Organization, owner_of: dict[str, str], uri: str
) -> None:
    owner_id = await one_owner(stack, organization, owner_of)
    redirect = await order(stack, organization, owner_id, redirect_uris=[GOOD, uri])
    webhook = await order(stack, organization, owner_id, webhook_urls=[uri])
    assert (redirect.status, redirect.json["code"]) == (400, "INVALID_REQUEST")
    assert redirect.json["error"].startswith("redirect_uris[1]: ")
    assert (webhook.status, webhook.json["error"].partition(":")[0]) == (400, "webhook_urls[0]")


@pytest.fixture(scope="module")
def owner_of() -> dict[str, str]:
    return {}


async def one_owner(stack: Stack, organization: Organization, owner_of: dict[str, str]) -> str:
    if not owner_of:
        owner_of["id"] = (await a_person(stack, organization)).user_id
    return owner_of["id"]


async def test_R180_what_may_be_an_app(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"name": ""}, 400), ({"name": "x" * 61}, 400), ({"name": "Fangate support"}, 400), ({"name": "a\u202eb"}, 400),
        ({"redirect_uris": []}, 400), ({"redirect_uris": [GOOD, GOOD]}, 400), ({"redirect_uris": GOOD}, 400),
        ({"redirect_uris": [f"{GOOD}/{n}" for n in range(11)]}, 400), ({"type": "native"}, 400),
        ({"owner_id": "me"}, 400), ({"owner_id": str(uuid.uuid4())}, 404),
    ]  # fmt: skip
    for changed, status in wrong:
        answer = await order(stack, organization, person.user_id, **changed)
        assert answer.status == status, (changed, answer.body)
    for number in range(5):
        made = await order(stack, organization, person.user_id, name=f"App {number}", webhook_urls=[GOOD])
        assert made.status == 201, made.body
    assert made.json["data"]["client_secret"].startswith("fgs_")
    assert made.json["data"]["app"]["webhook_urls"] == [GOOD]
    sixth = await order(stack, organization, person.user_id)
    assert (sixth.status, sixth.json["code"]) == (409, "CONFLICT")


async def test_R150_production_is_for_hosts_under_a_proved_domain(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await a_published_app(stack, person)
    domain = app.redirect_uri.split("/")[2].removeprefix("app.")
    async with GatewayClient(stack.url, organization.key) as client:
        path = f"/apps/{app.client_id}"
        for changed in (
            {"redirect_uris": ["https://elsewhere.example/callback"]},
            {"redirect_uris": [f"https://evil{domain}/callback"]},
            {"webhook_urls": ["https://hooks.example/x"]},
            {"stage": "development"},
        ):
            assert (await client.ask("PATCH", path, **changed)).status == 409, changed
        assert (await client.ask("PATCH", path, redirect_uris=["http://127.0.0.1/callback"])).status == 400
        assert (await client.ask("PATCH", path, webhook_urls=[f"https://{domain}/hooks"])).status == 200
        # a proof that is not there
        other = {"domain": f"{uuid.uuid4().hex}.example.org", "method": "dns"}
        missing = await client.call("POST", f"/api{path}/domains", body=json.dumps(other).encode())
        assert (missing.status, missing.json["code"]) == (409, "CONFLICT")
        for name in ("com", "co.uk", "192.0.2.1", "not a domain", ""):
            assert (await client.ask("POST", f"{path}/domains", domain=name)).status == 400, name


async def test_R150_an_app_in_development_serves_its_owner_only(stack: Stack, organization: Organization) -> None:
    owner, other = await a_person(stack, organization), await a_person(stack, organization)
    app = await an_app(stack, owner)
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(other.email, PASSWORD)
        refused = await visitor.get(auth_path(app, a_pkce()))
        posted = await visitor.post(auth_path(app, a_pkce()), refused, decision="allow", model=organization.model_id)
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(owner.email, PASSWORD)
        served = await visitor.get(auth_path(app, a_pkce()))
    assert [page.status for page in (refused, posted, served)] == [403, 403, 200]
    assert "Location" not in refused.headers
    assert "This app is in development" in served.text


async def test_R183_the_page_names_the_app_and_warns_of_fraud(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await a_published_app(stack, person)
    domain = app.redirect_uri.split("/")[2].removeprefix("app.")
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(person.email, PASSWORD)
        page = await visitor.get(auth_path(app, a_pkce(), scope="read:chat write:chat"))
    for text in (
        "<strong>Chat Helper</strong>", f"({domain})", "Read your chats and messages", "Send and delete messages in your name",
        "it is likely fraud", "report it", f"You will be sent to https://app.{domain}",
    ):  # fmt: skip
        assert text in page.text, text
    assert "This app is in development" not in page.text


async def test_a_secret_changes_with_an_overlap_and_two_live_at_most(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    tokens = await tokens_of(stack, app, person)
    path = f"/apps/{app.client_id}/secrets"

    async def works(secret: str) -> bool:
        one = type(app)(app.client_id, secret, app.redirect_uri, app.owner)
        return (await ask(stack, one, "introspect", token=tokens["access_token"])).status == 200

    async with GatewayClient(stack.url, organization.key) as client:
        second = (await client.ask("POST", path, overlap_seconds=3600)).json["data"]["client_secret"]
        assert [await works(str(app.secret)), await works(second)] == [True, True]
        third = (await client.ask("POST", path, overlap_seconds=3600)).json["data"]["client_secret"]
        assert [await works(str(app.secret)), await works(second), await works(third)] == [False, True, True]
        made = await client.ask("POST", path, overlap_seconds=0)
        fourth = made.json["data"]["client_secret"]
        assert [await works(second), await works(third), await works(fourth)] == [False, False, True]
        assert len(made.json["data"]["app"]["secrets"]) == 1
        assert (await client.ask("POST", path, overlap_seconds=86_401)).status == 400
        public = await an_app(stack, person, is_public=True)
        assert (await client.ask("POST", f"/apps/{public.client_id}/secrets", overlap_seconds=0)).status == 409
    assert (await refresh(stack, app, tokens["refresh_token"])).json["error"] == "invalid_client"


async def test_another_organizations_app_is_none(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    stranger = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, stranger.key) as client:
        answers = [
            await client.ask("GET", f"/apps/{app.client_id}"),
            await client.ask("PATCH", f"/apps/{app.client_id}", name="mine"),
            await client.ask("DELETE", f"/apps/{app.client_id}"),
            await client.ask("POST", f"/apps/{app.client_id}/secrets", overlap_seconds=0),
            await client.ask("POST", f"/apps/{app.client_id}/domains", domain="example.com"),
            await client.ask("GET", f"/apps/{uuid.uuid4()}"),
        ]
        assert app.client_id not in (await client.ask("GET", "/apps")).body.decode()
    assert [answer.status for answer in answers] == [404] * 6
    assert len({answer.body for answer in answers}) == 1
