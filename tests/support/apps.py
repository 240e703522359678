"""People who sign in, apps of third parties, and what the one allows the other, in the running system."""

import base64
import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.support.connect_page import Page
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack
from tests.support.visitor import Visitor, brought, sent_to

REDIRECT = "http://127.0.0.1:49152/callback"
PASSWORD = "correct horse battery staple"
SCOPES = "read:chat read:self"


@dataclass(frozen=True, slots=True)
class Person:
    """An active user who can sign in."""

    user_id: str
    email: str
    organization: Organization


@dataclass(frozen=True, slots=True)
class AnApp:
    """A registered app; without a secret it is a public one."""

    client_id: str
    secret: str | None
    redirect_uri: str
    owner: Person


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier and what is shown of it."""

    verifier: str
    challenge: str


_ENABLED: set[str] = set()  # organizations of this run that may have keys of users and apps


def an_address() -> str:
    """A client that nobody was before: failures are counted by address."""
    return f"10.{uuid.uuid4().int % 256}.{uuid.uuid4().int % 256}.{uuid.uuid4().int % 256}"


async def a_person(stack: Stack, organization: Organization, *, role: str = "owner") -> Person:
    """Somebody who followed an invitation and set a password, in an organization that may have personal keys and apps."""
    if organization.org_id not in _ENABLED:
        await stack.cli("auth", "org", "feature", organization.org_id, "--enable", "personal_keys,apps")
        _ENABLED.add(organization.org_id)
    email = f"{uuid.uuid4().hex[:12]}@example.test"
    async with GatewayClient(stack.url, organization.key) as client:
        invited = await client.ask("POST", "/organization/users", email=email, role=role)
    assert invited.status == 201, invited.body
    made = invited.json["data"]
    async with Visitor(stack.url) as visitor:
        path = made["join_url"].removeprefix(stack.url)
        joined = await visitor.post(path, await visitor.get(path), password=PASSWORD, again=PASSWORD)
    assert joined.status == 200, joined.text
    return Person(str(made["user"]["user_id"]), email, organization)


async def an_app(stack: Stack, owner: Person, *, is_public: bool = False, redirect_uri: str = REDIRECT) -> AnApp:
    """An app in development: it serves its owner."""
    order = {"name": "Chat Helper", "owner_id": owner.user_id, "redirect_uris": [redirect_uri]}
    async with GatewayClient(stack.url, owner.organization.key) as client:
        made = await client.ask("POST", "/apps", **order, type="public" if is_public else "confidential")
    assert made.status == 201, made.body
    data = made.json["data"]
    return AnApp(data["client_id"], data["client_secret"], redirect_uri, owner)


async def a_published_app(stack: Stack, owner: Person) -> AnApp:
    """An app in production, whose domain was proved by a TXT record: it serves everybody."""
    domain = f"{uuid.uuid4().hex[:12]}.example.com"
    app = await an_app(stack, owner, redirect_uri=f"https://app.{domain}/callback")
    async with GatewayClient(stack.url, owner.organization.key) as client:
        path = f"/apps/{app.client_id}"
        named = (await client.ask("POST", f"{path}/domains", domain=domain)).json["data"]
        assert stack.names is not None
        stack.names.records[named["dns_name"]] = ["something else", named["dns_value"]]
        body = json.dumps({"domain": domain, "method": "dns"}).encode()
        proved = await client.call("POST", f"/api{path}/domains", body=body)
        assert (proved.status, proved.json["data"]["domain"]["state"]) == (200, "verified"), proved.body
        published = await client.ask("PATCH", path, stage="production")
        assert published.status == 200, published.body
    return app


def a_pkce() -> Pkce:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def auth_path(app: AnApp, pkce: Pkce, **changed: str | None) -> str:
    """The request for authorization; a field that is None is left out."""
    fields: dict[str, str | None] = {
        "response_type": "code", "client_id": app.client_id, "redirect_uri": app.redirect_uri, "scope": SCOPES,
        "state": "a state", "code_challenge": pkce.challenge, "code_challenge_method": "S256", **changed,
    }  # fmt: skip
    return "/oauth2/auth?" + urlencode({name: value for name, value in fields.items() if value is not None})


async def consent(visitor: Visitor, path: str, organization: Organization, *, decision: str = "allow") -> Page:
    """Open the page of consent and decide; where that leads."""
    page = await visitor.get(path)
    assert page.status == 200, (page.status, page.text)
    return await visitor.post(path, page, decision=decision, model=organization.model_id)


async def a_code(stack: Stack, app: AnApp, person: Person, pkce: Pkce, *, scope: str = SCOPES) -> str:
    """A person signs in and allows an app; the code that it gets."""
    async with Visitor(stack.url) as visitor:
        assert (await visitor.sign_in(person.email, PASSWORD)).status == 303
        done = await consent(visitor, auth_path(app, pkce, scope=scope), person.organization)
    assert sent_to(done) == app.redirect_uri
    return brought(done)["code"]


def login_of(app: AnApp) -> dict[str, str]:
    """How a confidential app says who it is: Basic."""
    return {} if app.secret is None else {"Authorization": aiohttp.encode_basic_auth(app.client_id, app.secret)}


async def ask(stack: Stack, app: AnApp, endpoint: str, *, url: str = "", **fields: str) -> Answer:
    """A call of the app's backend, with its secret by Basic if it has one."""
    body = fields if app.secret is not None else {"client_id": app.client_id, **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url or stack.url}/oauth2/{endpoint}", data=body, headers=login_of(app)) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def exchange(stack: Stack, app: AnApp, code: str, pkce: Pkce, **changed: str) -> Answer:
    """Tokens for a code."""
    fields = {"code": code, "redirect_uri": app.redirect_uri, "code_verifier": pkce.verifier} | changed
    return await ask(stack, app, "token", grant_type="authorization_code", **fields)


async def refresh(stack: Stack, app: AnApp, token: str, **fields: str) -> Answer:
    """Tokens for a refresh token."""
    return await ask(stack, app, "token", grant_type="refresh_token", refresh_token=token, **fields)


async def tokens_of(stack: Stack, app: AnApp, person: Person, *, scope: str = SCOPES) -> dict[str, Any]:
    """The whole way to a pair of tokens."""
    pkce = a_pkce()
    answer = await exchange(stack, app, await a_code(stack, app, person, pkce, scope=scope), pkce)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found
