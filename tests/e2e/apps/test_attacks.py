"""Attacks on OAuth (RFC 9700), each refused: by its name."""

import uuid
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest

from tests.support.apps import (
    PASSWORD,
    a_code,
    a_person,
    a_pkce,
    a_published_app,
    an_address,
    an_app,
    ask,
    auth_path,
    consent,
    exchange,
    login_of,
    refresh,
    tokens_of,
)
from tests.support.connect_page import Page
from tests.support.gateway_client import Answer, GatewayClient
from tests.support.stack import Organization, Stack
from tests.support.visitor import Visitor, brought, first_form, sent_to


async def chats(url: str, organization: Organization, token: str) -> int:
    headers = {"X-API-Key": token, "X-Forwarded-For": an_address()}
    async with GatewayClient(url, None) as client:
        return (await client.call("GET", f"/api/models/{organization.model_id}/chats?size=1", headers=headers)).status


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]


async def later(stack: Stack, column: str, seconds: int) -> None:
    """As if so much time had passed since tokens were replaced."""
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        await connection.execute(
            f"UPDATE auth.oauth_tokens SET {column} = {column} - make_interval(secs => $1)", float(seconds)
        )
    finally:
        await connection.close()


async def test_a_code_that_is_used_twice_ends_the_grant_and_its_tokens(
    stack: Stack, two_edges: tuple[str, str], organization: Organization
) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person), a_pkce()
    code = await a_code(stack, app, person, pkce)
    first = (await exchange(stack, app, code, pkce)).json
    assert [await chats(url, organization, first["access_token"]) for url in two_edges] == [200, 200]

    replayed = await exchange(stack, app, code, pkce)

    assert said(replayed) == (400, "invalid_grant")
    assert [await chats(url, organization, first["access_token"]) for url in two_edges] == [401, 401]
    assert said(await refresh(stack, app, first["refresh_token"])) == (400, "invalid_grant")


@pytest.mark.parametrize("is_public", [False, True], ids=["confidential", "public"])
async def test_pkce_cannot_be_left_out_weakened_or_guessed(
    stack: Stack, organization: Organization, *, is_public: bool
) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person, is_public=is_public), a_pkce()
    weak: list[dict[str, str | None]] = [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},  # which means plain
        {"code_challenge_method": "plain"},
        {"code_challenge": pkce.verifier, "code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"code_challenge_method": "s256"},
    ]
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(person.email, PASSWORD)
        for changed in weak:
            refused = await visitor.get(auth_path(app, pkce, **changed))
            assert (sent_to(refused), brought(refused)["error"]) == (app.redirect_uri, "invalid_request"), changed
        code = brought(await consent(visitor, auth_path(app, pkce), organization))["code"]
    for verifier in ("", a_pkce().verifier, pkce.challenge):
        answer = await exchange(stack, app, code, pkce, code_verifier=verifier)
        assert said(answer) == (400, "invalid_grant" if verifier else "invalid_request")
    assert (await exchange(stack, app, code, pkce)).status == 200, "a wrong guess takes nothing from the app"


VARIANTS = [
    "https://app.{domain}/callback/", "https://app.{domain}/callback?x=1", "https://app.{domain}/Callback",
    "https://app.{domain}:8443/callback", "https://app.{domain}/callback/../evil", "https://app.{domain}/callback#x",
    "https://evil.app.{domain}/callback", "https://app.{domain}.evil.example/callback", "http://app.{domain}/callback",
    "https://app.{domain}@evil.example/callback", "https://APP.{domain}/callback", "//app.{domain}/callback",
    "https://app.{domain}/callback%2e", "javascript:alert(1)", "http://127.0.0.1:49152/callback", "",
]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_redirect_that_is_not_the_registered_one_leads_nowhere(
    stack: Stack, second_edge: str, published: tuple[str, str], variant: str
) -> None:
    del stack
    client_id, domain = published
    path = (
        f"/oauth2/auth?response_type=code&client_id={client_id}&scope=read%3Achat&code_challenge={a_pkce().challenge}"
        f"&code_challenge_method=S256&redirect_uri={quote(variant.format(domain=domain), safe='')}"
    )
    async with Visitor(second_edge, address=an_address()) as visitor:
        page = await visitor.get(path)
        posted = await visitor.post(path, decision="allow")
    for answer in (page, posted):
        assert answer.status == 400
        assert "Location" not in answer.headers


@pytest.fixture
async def published(stack: Stack, organization: Organization) -> tuple[str, str]:
    """Client id and domain of an app in production, one for all variants."""
    if "one" not in _PUBLISHED:
        app = await a_published_app(stack, await a_person(stack, organization))
        _PUBLISHED["one"] = (app.client_id, app.redirect_uri.split("/")[2].removeprefix("app."))
    return _PUBLISHED["one"]


_PUBLISHED: dict[str, tuple[str, str]] = {}


async def test_only_the_port_of_a_loopback_redirect_is_free(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person), a_pkce()
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(person.email, PASSWORD)
        other = await visitor.get(auth_path(app, pkce, redirect_uri="http://127.0.0.1:8123/callback"))
        elsewhere = await visitor.get(auth_path(app, pkce, redirect_uri="http://127.0.0.1:8123/other"))
        by_name = await visitor.get(auth_path(app, pkce, redirect_uri="http://localhost:49152/callback"))
    assert [page.status for page in (other, elsewhere, by_name)] == [200, 400, 400]


async def test_what_was_given_to_one_client_is_nothing_to_another(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, mixed, pkce = await an_app(stack, person), await an_app(stack, person), a_pkce()
    public = await an_app(stack, person, is_public=True)
    code = await a_code(stack, app, person, pkce)
    for other in (mixed, public):
        assert said(await exchange(stack, other, code, pkce)) == (400, "invalid_grant")
    tokens = (await exchange(stack, app, code, pkce)).json
    for other in (mixed, public):
        assert said(await refresh(stack, other, tokens["refresh_token"])) == (400, "invalid_grant")
        assert (await ask(stack, other, "revoke", token=tokens["access_token"])).status == 200
    assert await chats(stack.url, organization, tokens["access_token"]) == 200, "nobody else can end it"


async def test_a_client_is_what_it_proves_to_be(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person), a_pkce()
    code = await a_code(stack, app, person, pkce)
    fields = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri,
        "code_verifier": pkce.verifier,
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:
        for proof in ({}, {"client_secret": "wrong"}, {"client_secret": code}):
            body = fields | {"client_id": app.client_id} | proof
            async with session.post(f"{stack.url}/oauth2/token", data=body) as answer:
                assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")
                assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        two_ways = fields | {"client_id": app.client_id, "client_secret": str(app.secret)}
        async with session.post(f"{stack.url}/oauth2/token", data=two_ways, headers=login_of(app)) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request")
        async with session.post(f"{stack.url}/oauth2/token", data=two_ways) as answer:
            assert answer.status == 200, "client_secret_post is taken, too"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_a_refresh_token_works_once_more_for_a_moment_and_then_ends_its_family(
    stack: Stack, two_edges: tuple[str, str], organization: Organization
) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    first = await tokens_of(stack, app, person)
    second = (await refresh(stack, app, first["refresh_token"])).json
    # the answer was lost: the client asks again, inside the leeway
    again = await refresh(stack, app, first["refresh_token"])
    assert again.status == 200
    third = again.json
    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    live = third["access_token"]
    assert [await chats(url, organization, live) for url in two_edges] == [200, 200]

    await later(stack, "replaced_at", 31)
    reused = await refresh(stack, app, first["refresh_token"])

    assert said(reused) == (400, "invalid_grant")
    assert said(await refresh(stack, app, third["refresh_token"])) == (400, "invalid_grant"), "the family has ended"
    for token in (first, second, third):
        assert [await chats(url, organization, token["access_token"]) for url in two_edges] == [401, 401]
    assert (await tokens_of(stack, app, person))["access_token"], "the consent stands: another family begins"


async def test_refreshing_never_widens(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    tokens = await tokens_of(stack, app, person)
    wider = await refresh(stack, app, tokens["refresh_token"], scope="read:chat write:chat")
    narrower = await refresh(stack, app, tokens["refresh_token"], scope="read:self")
    assert said(wider) == (400, "invalid_scope")
    assert narrower.json["scope"] == "read:self"
    assert await chats(stack.url, organization, narrower.json["access_token"]) == 403
    assert (await refresh(stack, app, narrower.json["refresh_token"])).json["scope"] == "read:chat read:self"


async def test_a_token_in_a_query_opens_nothing(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    tokens = await tokens_of(stack, app, person)
    async with GatewayClient(stack.url, None) as client:
        for name in ("access_token", "token", "api_key"):
            path = f"/api/models/{organization.model_id}/chats?{name}={tokens['access_token']}"
            assert (await client.call("GET", path)).status == 401
            with_it = await client.call("GET", path, headers={"Authorization": f"Bearer {tokens['access_token']}"})
            assert with_it.status == 400, "nor beside one in the header"
    query = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stack.url}/oauth2/token?{query}", data={}, headers=login_of(app)) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request")
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url}/oauth2/token?{query}") as got:
        assert got.status == 405


async def test_the_page_of_consent_cannot_be_framed_and_runs_no_script(
    stack: Stack, organization: Organization
) -> None:
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    async with Visitor(stack.url) as visitor:
        pages = [await visitor.get("/account/sign-in")]
        await visitor.sign_in(person.email, PASSWORD)
        pages += [await visitor.get(auth_path(app, a_pkce())), await visitor.get("/account/key")]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script" not in page.text
    assert "form-action 'self' http://127.0.0.1:49152" in pages[1].headers["Content-Security-Policy"]


async def test_nobody_learns_of_anothers_token(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, other = await an_app(stack, person), await an_app(stack, person)
    public = await an_app(stack, person, is_public=True)
    tokens = await tokens_of(stack, app, person)
    for kind in ("access_token", "refresh_token"):
        assert (await ask(stack, other, "introspect", token=tokens[kind])).json == {"active": False}
        assert said(await ask(stack, public, "introspect", token=tokens[kind])) == (401, "invalid_client")
        own = (await ask(stack, app, "introspect", token=tokens[kind])).json
        assert (own["active"], own["client_id"], own["sub"]) == (True, app.client_id, person.user_id)
    assert (await ask(stack, app, "introspect", token="fgo_nonsense")).json == {"active": False}
    async with GatewayClient(stack.url, None) as stranger:
        answer = await stranger.call("POST", "/oauth2/introspect", body=b"{}")
    assert answer.status == 415


async def test_a_forged_form_decides_nothing(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person), a_pkce()
    path = auth_path(app, pkce)
    async with Visitor(stack.url) as visitor, Visitor(stack.url) as other:
        await visitor.sign_in(person.email, PASSWORD)
        await other.sign_in(person.email, PASSWORD)
        page, foreign = await visitor.get(path), await other.get(path)
        typed: Any = {"decision": "allow", "model": organization.model_id}
        forged = [
            await visitor.post(path, **typed),  # without the page's token
            await visitor.post(path, foreign, **typed),  # with another session's
            await visitor.post(path, page, headers={"Origin": "https://evil.example"}, **typed),
            await visitor.post(path, page, headers={"Sec-Fetch-Site": "cross-site"}, **typed),
            await visitor.post(path, page, headers={"Sec-Fetch-Site": "same-site", "Origin": stack.url}, **typed),
            await visitor.post(path, page, headers={"Origin": "null"}, **typed),
            await visitor.post(path, page, headers={}, **typed),  # and a browser that says nothing at all
            await visitor.post("/account/sign-out", headers={"Origin": "https://evil.example"}),
            await visitor.post("/account/key/revoke", page, headers={"Sec-Fetch-Site": "cross-site"}),
        ]
        assert [answer.status for answer in forged] == [403] * len(forged)
        assert (await visitor.get("/account")).status == 200
        own = await visitor.post(path, page, headers={"Sec-Fetch-Site": "same-origin"}, **typed)
        assert "code" in brought(own)


async def test_a_session_planted_by_somebody_else_is_no_session(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    planted = "A" * 43
    async with Visitor(stack.url) as visitor, Visitor(stack.url) as attacker:
        visitor.plant(planted)
        attacker.plant(planted)
        signed_in = await visitor.sign_in(person.email, PASSWORD)
        assert signed_in.status == 303
        first = visitor.cookie()
        assert first not in {planted, ""}
        assert (await attacker.get("/account")).status == 303, "who planted it is nobody"
        # a sign-in over a session ends it: the id is always a new one
        attacker.plant(first)
        assert (await attacker.get("/account")).status == 200
        again = await visitor.post("/account/sign-in", await new_form(visitor), email=person.email, password=PASSWORD)
        assert again.status == 303
        assert visitor.cookie() not in {first, planted}
        assert (await attacker.get("/account")).status == 303


async def new_form(visitor: Visitor) -> Page:
    """The page of signing in as a browser that is signed in holds it in another tab."""
    kept = visitor.cookie()
    visitor.forget()
    page = await visitor.get("/account/sign-in")
    visitor.plant(kept)
    return page


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "/account/../../evil", "javascript:alert(1)",
        "/oauth2/auth", "/accounts", "/account\r\nX: y", "/%2fevil.example", "/account?next=//evil.example",
    ],
)  # fmt: skip
async def test_a_sign_in_leads_to_our_own_pages_only(
    stack: Stack, organization: Organization, person_of: dict[str, str], where: str
) -> None:
    if not person_of:
        person_of["email"] = (await a_person(stack, organization)).email
    async with Visitor(stack.url) as visitor:
        page = await visitor.sign_in(person_of["email"], PASSWORD, back=f"?next={quote(where, safe='')}")
    assert (page.status, page.headers["Location"]) == (303, "/account")


@pytest.fixture(scope="module")
def person_of() -> dict[str, str]:
    return {}


async def test_errors_go_to_the_app_and_bad_apps_go_nowhere(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    app, pkce = await an_app(stack, person), a_pkce()
    wrong: list[tuple[dict[str, str | None], str]] = [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "x.y.z"}, "request_not_supported"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "read:chat read:everything"}, "invalid_scope"),
    ]
    async with Visitor(stack.url) as visitor:
        for changed, error in wrong:
            page = await visitor.get(auth_path(app, pkce, **changed))
            assert (sent_to(page), brought(page)["error"]) == (app.redirect_uri, error)
            assert brought(page)["iss"] == stack.url
            assert brought(page)["state"] == "a state"
        twice = await visitor.get(auth_path(app, pkce) + "&scope=read%3Achat")
        unknown = await visitor.get(auth_path(app, pkce, client_id=str(uuid.uuid4())))
        await visitor.sign_in(person.email, PASSWORD)
        denied = await consent(visitor, auth_path(app, pkce), organization, decision="deny")
    assert [page.status for page in (twice, unknown)] == [400, 400]
    assert brought(denied)["error"] == "access_denied"
    assert "code" not in brought(denied)
    assert first_form(unknown) == {}
