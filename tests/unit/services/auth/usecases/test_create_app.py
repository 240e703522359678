"""A new app, and another secret for it."""

import uuid

import msgspec
import pytest

from services.auth.domain.app import APPS_MAX, Stage
from services.auth.domain.errors import Conflict, InvalidRequest, NotEnabled, NotFound
from services.auth.domain.organization import UserState
from services.auth.usecases.create_app import RotateAppSecret
from tests.support.auth import RING
from tests.support.auth_world import Client, World


async def rotate(world: World, client: Client, overlap_seconds: int = 3_600) -> str:
    do = RotateAppSecret(world.accounts, RING, world.clock)
    return (await do(client.app.org_id, client.app.app_id, overlap_seconds=overlap_seconds)).secret


async def opens(world: World, client: Client, secret: str) -> bool:
    return await world.clients(Client(client.app, secret).proof) is not None


async def test_R180_a_secret_is_shown_once_and_stored_as_a_digest() -> None:
    world = World()
    organization, owner = await world.owner()
    client = await world.client(owner)
    (stored,) = (await world.apps.app(organization.org_id, client.app.app_id)).secrets
    assert client.secret.startswith("fgs_")
    assert (stored.pepper, stored.start) == (RING.active, client.secret[:8])
    assert client.secret not in repr(world.accounts.tables)
    assert (client.app.stage, client.app.user_id) == (Stage.DEVELOPMENT, owner.user_id)
    assert await world.av(organization.org_id) == organization.av, "an app by itself moves nobody's rights"


async def test_a_public_app_has_no_secret() -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner, is_confidential=False)
    assert client.secret == ""
    assert await world.clients(client.proof) is not None
    with pytest.raises(Conflict, match="public"):
        await rotate(world, client)


async def test_apps_are_for_organizations_that_have_the_feature() -> None:
    world = World()
    _, owner = await world.owner(features=frozenset())
    with pytest.raises(NotEnabled):
        await world.client(owner)


async def test_an_active_user_of_the_organization_answers_for_an_app() -> None:
    world = World()
    organization, owner = await world.owner()
    _, stranger = await world.owner()
    with pytest.raises(NotFound):
        await world.client(msgspec.structs.replace(stranger, org_id=organization.org_id))
    async with world.accounts.change(organization.org_id) as change:
        await change.update_user(owner, msgspec.structs.replace(owner, state=UserState.SUSPENDED))
    with pytest.raises(Conflict, match="suspended"):
        await world.client(owner)


async def test_a_user_has_so_many_apps_and_another_one_has_their_own() -> None:
    world = World()
    for _ in range(2):
        organization, owner = await world.owner()
        for _ in range(APPS_MAX):
            await world.client(owner)
        with pytest.raises(Conflict, match=str(APPS_MAX)):
            await world.client(owner)
        assert (await world.apps.page(organization.org_id, limit=10, offset=0))[1] == APPS_MAX


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Fangate support"},
        {"redirect_uris": ()},
        {"redirect_uris": ("http://app.example.com/",)},
        {"webhook_urls": ("http://app.example.com/",)},
    ],
    ids=["our name", "no redirect", "plain redirect", "plain webhook"],
)
async def test_what_may_not_be_is_refused_and_nothing_is_left(wrong: dict[str, object]) -> None:
    world = World()
    organization, owner = await world.owner()
    with pytest.raises(InvalidRequest):
        await world.client(owner, **wrong)
    assert await world.apps.page(organization.org_id, limit=10, offset=0) == ([], 0)


async def test_secrets_overlap_and_two_live_at_most() -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner)
    second = await rotate(world, client)
    assert [await opens(world, client, each) for each in (client.secret, second)] == [True, True]
    third = await rotate(world, client)
    assert [await opens(world, client, each) for each in (client.secret, second, third)] == [False, True, True]
    world.clock.pass_time(hours=1)
    assert [await opens(world, client, each) for each in (second, third)] == [False, True]


async def test_without_an_overlap_the_old_secret_ends_at_once() -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner)
    second = await rotate(world, client, overlap_seconds=0)
    assert [await opens(world, client, each) for each in (client.secret, second)] == [False, True]


@pytest.mark.parametrize("seconds", [-1, 86_401])
async def test_an_overlap_has_its_bounds(seconds: int) -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner)
    with pytest.raises(InvalidRequest, match="overlap_seconds"):
        await rotate(world, client, overlap_seconds=seconds)


async def test_another_organizations_app_gets_no_secret() -> None:
    world = World()
    _, owner = await world.owner()
    other, _ = await world.owner()
    client = await world.client(owner)
    with pytest.raises(NotFound):
        await RotateAppSecret(world.accounts, RING, world.clock)(other.org_id, client.app.app_id, overlap_seconds=0)
    with pytest.raises(NotFound):
        await RotateAppSecret(world.accounts, RING, world.clock)(other.org_id, uuid.uuid4(), overlap_seconds=0)
