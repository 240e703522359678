"""A user allows an app something, and takes it back."""

import uuid
from typing import Any

import msgspec
import pytest

from services.auth.domain.app import Stage
from services.auth.domain.errors import InvalidRequest, NotEnabled, NotFound, PermissionDenied
from services.auth.usecases.authorize_app import RevokeGrant
from tests.support.auth import digests_of
from tests.support.auth_world import Client, World

replace = msgspec.structs.replace


async def published(world: World, client: Client) -> Client:
    async with world.accounts.change(client.app.org_id) as change:
        app = replace(client.app, stage=Stage.PRODUCTION)
        await change.update_app(client.app, app)
    return Client(app, client.secret)


async def test_R182_what_was_agreed_to_is_the_grant_and_the_code_leads_to_it() -> None:
    world = World()
    organization, owner = await world.owner()
    client, model_id = await world.client(owner), uuid.uuid4()
    code, authorized = await world.allow(owner, client, scopes=["write:chat", "read:chat"], model_id=model_id)
    grant = (await world.apps.grant(organization.org_id, authorized.grant_id)).grant
    assert (grant.user_id, grant.app_id, grant.model_id) == (owner.user_id, client.app.app_id, model_id)
    assert grant.scopes == {"read:chat", "write:chat"}
    assert authorized.av == await world.av(organization.org_id) == organization.av + 1
    kept = await world.tokens.find_code(code.hex())
    assert kept is not None
    assert (kept.grant_id, kept.redirect_uri) == (grant.grant_id, client.app.redirect_uris[0])
    assert (kept.expires_at - world.clock.now()).total_seconds() == 60
    entry = await world.last_entry(organization.org_id)
    assert (entry.action, entry.by, entry.user_id, entry.address) == (
        "grant.create",
        "user",
        owner.user_id,
        "192.0.2.1",
    )


async def test_the_same_again_is_the_same_grant_and_moves_no_rights() -> None:
    world = World()
    organization, owner = await world.owner()
    client, model_id = await world.client(owner), uuid.uuid4()
    first, one = await world.allow(owner, client, model_id=model_id)
    world.clock.pass_time(minutes=5)
    second, other = await world.allow(owner, client, model_id=model_id)
    assert (one.grant_id, one.av) == (other.grant_id, other.av)
    assert await world.av(organization.org_id) == one.av
    assert first != second


async def test_other_scopes_take_the_place_of_those_before_and_end_their_tokens() -> None:
    world = World()
    organization, owner = await world.owner()
    client, model_id = await world.client(owner), uuid.uuid4()
    pair = await world.pair(owner, client, model_id=model_id)
    world.clock.pass_time(minutes=5)
    _, authorized = await world.allow(owner, client, model_id=model_id, scopes=["write:chat"])
    assert not await world.works(pair.access)
    listed, total = await world.apps.grant_page(organization.org_id, limit=9, offset=0, user_id=None, is_live=True)
    assert ([each.grant.grant_id for each in listed], total) == ([authorized.grant_id], 1)


async def test_models_are_granted_one_by_one() -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner)
    (_, one), (_, other) = [await world.allow(owner, client) for _ in range(2)]
    assert one.grant_id != other.grant_id


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scopes": []}, InvalidRequest),
        ({"scopes": ["read:everything"]}, InvalidRequest),
        ({"challenge": "plain"}, InvalidRequest),
        ({"client_id": uuid.UUID(int=1)}, InvalidRequest),
        ({"redirect_uri": "https://app.example.com/callback/"}, InvalidRequest),
        ({"session": digests_of("fgs_unknown")}, PermissionDenied),
    ],
    ids=["no scope", "no such scope", "no S256", "no such app", "another redirect", "nobody"],
)
async def test_what_is_refused_leaves_no_grant(changed: dict[str, Any], error: type[Exception]) -> None:
    world = World()
    organization, owner = await world.owner()
    client = await world.client(owner)
    with pytest.raises(error):
        await world.allow(owner, client, **changed)
    assert await world.apps.grant_page(organization.org_id, limit=9, offset=0, user_id=None, is_live=False) == ([], 0)


async def test_R150_an_app_in_development_serves_its_owner_only() -> None:
    world = World()
    _, owner = await world.owner()
    _, other = await world.owner()
    client = await world.client(owner)
    with pytest.raises(PermissionDenied, match="development"):
        await world.allow(other, client)
    await world.allow(other, await published(world, client))


async def test_users_of_an_organization_without_the_feature_allow_nothing() -> None:
    world = World()
    _, owner = await world.owner()
    client = await published(world, await world.client(owner))
    _, other = await world.owner(features=frozenset())
    with pytest.raises(NotEnabled):
        await world.allow(other, client)


async def test_R182_a_grant_that_is_taken_back_ends_with_its_tokens_and_repeating_it_is_safe() -> None:
    world = World()
    organization, owner = await world.owner()
    client = await world.client(owner)
    code, authorized = await world.allow(owner, client)
    pair = await world.exchange(client, code)
    assert await world.works(pair.access)
    do = RevokeGrant(world.accounts, world.clock)
    av = await do(organization.org_id, authorized.grant_id)
    assert av == await world.av(organization.org_id) == authorized.av + 1
    assert not await world.works(pair.access)
    assert (await world.refresh(client, pair.refresh)).answer.error == "invalid_grant"
    assert await do(organization.org_id, authorized.grant_id) == av


async def test_a_grant_is_taken_back_by_whose_it_is() -> None:
    world = World()
    organization, owner = await world.owner()
    other, _ = await world.owner()
    _, authorized = await world.allow(owner, await world.client(owner))
    do = RevokeGrant(world.accounts, world.clock)
    for org_id, user_id in ((organization.org_id, uuid.uuid4()), (other.org_id, None)):
        with pytest.raises(NotFound):
            await do(org_id, authorized.grant_id, user_id=user_id)
    await do(organization.org_id, authorized.grant_id, user_id=owner.user_id)
