"""Authlib, a client that is not ours, completes the whole flow against the running system."""

import asyncio

import requests
from authlib.integrations.requests_client import OAuth2Session

from tests.support.apps import PASSWORD, REDIRECT, SCOPES, a_person, an_app, consent
from tests.support.stack import Organization, Stack
from tests.support.visitor import Visitor, brought


async def test_R180_authlib_completes_the_whole_flow(stack: Stack, organization: Organization) -> None:
    # given an app, and what its server says of itself (RFC 8414)
    person = await a_person(stack, organization)
    app = await an_app(stack, person)
    metadata = await asyncio.to_thread(
        lambda: requests.get(f"{stack.url}/.well-known/oauth-authorization-server", timeout=10).json()
    )
    client = OAuth2Session(
        app.client_id, app.secret, scope=SCOPES, redirect_uri=REDIRECT, code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )  # fmt: skip
    verifier = "v" * 64
    url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)

    # when the user signs in on the way and allows it
    path = url.removeprefix(stack.url)
    async with Visitor(stack.url) as visitor:
        asked = await visitor.get(path)
        assert asked.headers["Location"].startswith("/account/sign-in?next=")
        signed_in = await visitor.sign_in(
            person.email, PASSWORD, back=asked.headers["Location"].removeprefix("/account/sign-in")
        )
        assert signed_in.headers["Location"] == path
        done = await consent(visitor, path, organization)

    # then the client gets its tokens, calls with them, refreshes them, and gives them back
    answer = brought(done)
    assert (answer["state"], answer["iss"]) == (state, metadata["issuer"])
    where = done.headers["Location"]
    token = await asyncio.to_thread(
        lambda: client.fetch_token(metadata["token_endpoint"], authorization_response=where, code_verifier=verifier)
    )
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, SCOPES)
    chats = f"{stack.url}/api/models/{organization.model_id}/chats?size=1"
    assert (await asyncio.to_thread(client.get, chats)).status_code == 200
    fanvue = {"X-Fanvue-API-Version": "2025-06-26"}
    assert (await asyncio.to_thread(lambda: client.get(f"{stack.url}/fanvue/chats", headers=fanvue))).status_code == 200
    new = await asyncio.to_thread(lambda: client.refresh_token(metadata["token_endpoint"]))
    assert new["access_token"] != token["access_token"]
    assert new["refresh_token"] != token["refresh_token"]
    known = await asyncio.to_thread(
        lambda: client.introspect_token(metadata["introspection_endpoint"], token=new["access_token"]).json()
    )
    assert (known["active"], known["scope"], known["sub"]) == (True, SCOPES, person.user_id)
    ended = await asyncio.to_thread(
        lambda: client.revoke_token(metadata["revocation_endpoint"], token=new["refresh_token"])
    )
    assert ended.status_code == 200
    client.token = new
    assert (await asyncio.to_thread(client.get, chats)).status_code == 401
