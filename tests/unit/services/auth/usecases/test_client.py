"""Which app calls."""

import uuid

import msgspec
import pytest

from libs.common.contracts.apps import ClientProof
from libs.common.ids import new_key
from services.auth.domain.app import AppState
from services.auth.domain.organization import OrganizationState, UserState
from tests.support.auth import OLD_RING, RING, digests_of
from tests.support.auth_world import Client, World


async def test_a_client_is_its_id_with_its_secret() -> None:
    world = World()
    _, owner = await world.owner()
    client, other = await world.client(owner), await world.client(owner)
    assert await world.clients(client.proof) == await world.known(client)
    for proof in (
        Client(client.app, "").proof,
        Client(client.app, new_key("fgs_")).proof,
        Client(client.app, other.secret).proof,
        ClientProof(client_id=uuid.uuid4(), secret=digests_of(client.secret)),
    ):
        assert await world.clients(proof) is None


async def test_a_public_client_that_presents_a_secret_is_not_who_it_says() -> None:
    world = World()
    _, owner = await world.owner()
    client = await world.client(owner, is_confidential=False)
    assert await world.clients(client.proof) is not None
    assert await world.clients(Client(client.app, new_key("fgs_")).proof) is None


@pytest.mark.parametrize("who", ["app", "owner", "organization"])
async def test_R184_a_client_whose_app_owner_or_organization_rests_is_nobody(who: str) -> None:
    world = World()
    organization, owner = await world.owner()
    client = await world.client(owner)
    async with world.accounts.change(organization.org_id) as change:
        if who == "app":
            await change.update_app(client.app, msgspec.structs.replace(client.app, state=AppState.SUSPENDED))
        elif who == "owner":
            await change.update_user(owner, msgspec.structs.replace(owner, state=UserState.SUSPENDED))
        else:
            await change.set_state(OrganizationState.SUSPENDED)
    assert await world.clients(client.proof) is None


async def test_a_secret_under_the_old_pepper_moves_to_the_active_one_when_it_is_used() -> None:
    world = World()
    organization, owner = await world.owner()
    client = await world.client(owner)
    (stored,) = (await world.apps.app(organization.org_id, client.app.app_id)).secrets
    old = digests_of(client.secret, OLD_RING)[0]
    await world.apps.rewrite_secret(stored, pepper=old.pepper, digest=old.digest)
    assert await world.clients(client.proof) is not None
    (moved,) = (await world.apps.app(organization.org_id, client.app.app_id)).secrets
    assert (moved.pepper, moved.digest) == (RING.active, digests_of(client.secret)[0].digest)
    assert await world.clients(client.proof) is not None
