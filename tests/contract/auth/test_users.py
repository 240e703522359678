"""Users and invitations: the memory that unit tests use keeps the same promises as Postgres."""

import uuid
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.auth import Actor
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict, NotFound
from services.auth.domain.organization import OrganizationState, User, UserState
from services.auth.domain.user import Invitation
from tests.contract.auth.conftest import Ports
from tests.support.auth import NOW, a_key, an_organization

SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=8)


async def add(ports: Ports, org_id: uuid.UUID, email: str = "ada@example.test", **changed: object) -> User:
    async with ports.accounts.change(org_id) as change:
        role = await change.role_named("owner")
        user = User(user_id=uuid7(), org_id=org_id, email=email, role_id=role.role_id)
        user = msgspec.structs.replace(user, **changed)
        await change.add_user(user)
    return user


def a_link(user: User, digest: str = "ab" * 32) -> Invitation:
    return Invitation(digest=digest, org_id=user.org_id, user_id=user.user_id, created_at=NOW, expires_at=LATER)


async def test_users_are_found_counted_and_listed_until_they_are_removed(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    user = await add(ports, organization.org_id)
    stranger = await add(ports, (await an_organization(ports.accounts)).org_id, "eve@example.test")
    page, total = await ports.accounts.user_page(organization.org_id, limit=1, offset=1)
    assert ([(each.user, each.role_name, each.invited_until) for each in page], total) == ([(user, "owner", None)], 2)
    async with ports.accounts.change(organization.org_id) as change:
        assert await change.user(user.user_id) == user
        assert await change.user_with_email("ADA@example.test") == user
        assert await change.user_with_email("eve@example.test") is None
        assert await change.count_users() == 2
        assert user in await change.owners()
        with pytest.raises(NotFound):
            await change.user(stranger.user_id)
        await change.update_user(user, msgspec.structs.replace(user, state=UserState.REMOVED))
        with pytest.raises(NotFound):
            await change.user(user.user_id)
        assert await change.user_with_email("ada@example.test") is None
        assert (await change.count_users(), user in await change.owners()) == (1, False)
    assert (await ports.accounts.listed_user(organization.org_id, user.user_id)).user.state is UserState.REMOVED
    with pytest.raises(NotFound):
        await ports.accounts.listed_user(organization.org_id, stranger.user_id)


async def test_an_address_is_one_users_but_invited_in_many_places(ports: Ports) -> None:
    here, there = await an_organization(ports.accounts), await an_organization(ports.accounts)
    first = await add(ports, here.org_id, state=UserState.INVITED)
    second = await add(ports, there.org_id, state=UserState.INVITED)
    with pytest.raises(Conflict):
        await add(ports, here.org_id, "Ada@example.test", state=UserState.INVITED)
    async with ports.accounts.change(here.org_id) as change:
        await change.update_user(first, msgspec.structs.replace(first, state=UserState.ACTIVE))
    with pytest.raises(Conflict):
        async with ports.accounts.change(there.org_id) as change:
            await change.update_user(second, msgspec.structs.replace(second, state=UserState.ACTIVE))


async def test_a_link_is_open_until_it_ends_or_expires(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    user = await add(ports, organization.org_id, state=UserState.INVITED)
    link = a_link(user)
    async with ports.accounts.change(organization.org_id) as change:
        assert not await change.end_invitation(user.user_id, NOW)
        await change.add_invitation(link)
    found = await ports.accounts.find_invitation(link.digest, SOON)
    assert found is not None
    assert (found.invitation, found.organization, found.email, found.role_name) == (
        link, "Example", "ada@example.test", "owner",
    )  # fmt: skip
    assert await ports.accounts.find_invitation(link.digest, LATER) is None
    assert await ports.accounts.find_invitation("cd" * 32, SOON) is None
    assert (await ports.accounts.listed_user(user.org_id, user.user_id)).invited_until == LATER
    async with ports.accounts.change(organization.org_id) as change:
        assert not await change.end_invitation(user.user_id, SOON, digest="cd" * 32)
        assert not await change.end_invitation(user.user_id, LATER, digest=link.digest)
        assert await change.end_invitation(user.user_id, SOON, digest=link.digest)
        assert not await change.end_invitation(user.user_id, SOON, digest=link.digest)
        await change.add_invitation(a_link(user, "ef" * 32))
        assert await change.end_invitation(user.user_id, LATER)
    assert await ports.accounts.find_invitation("ef" * 32, SOON) is None


async def test_a_suspended_organizations_links_do_not_work(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    user = await add(ports, organization.org_id, state=UserState.INVITED)
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_invitation(a_link(user))
        await change.set_state(OrganizationState.SUSPENDED)
    assert await ports.accounts.find_invitation("ab" * 32, SOON) is None


async def test_personal_keys_are_the_users_own_and_live(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    user = await add(ports, organization.org_id)
    own = a_key(organization.org_id, None, user_id=user.user_id, scopes=frozenset({"read:chat"}))
    async with ports.accounts.change(organization.org_id) as change:
        await change.add_key(a_key(organization.org_id, await change.role_named("owner")))
        await change.add_key(own)
        assert [key.key_id for key in await change.personal_keys(user.user_id)] == [own.key_id]
        await change.revoke_key(own.key_id, NOW)
        assert await change.personal_keys(user.user_id) == []


async def test_who_follows_a_link_is_in_the_log_as_that(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    user = await add(ports, organization.org_id, state=UserState.INVITED)
    by = Actor(user_id=user.user_id, address="203.0.113.7", is_link=True)
    async with ports.accounts.change(organization.org_id, by) as change:
        await change.update_user(user, msgspec.structs.replace(user, state=UserState.ACTIVE))
    (entry,) = await ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.by, entry.key_id, entry.user_id, entry.address) == (
        "user.join", "link", None, user.user_id, "203.0.113.7",
    )  # fmt: skip


async def test_addresses_of_a_key_come_back_as_they_were_given(ports: Ports) -> None:
    organization = await an_organization(ports.accounts)
    networks = ("203.0.113.0/24", "2001:db8::/32")
    async with ports.accounts.change(organization.org_id) as change:
        key = a_key(organization.org_id, await change.role_named("owner"), addresses=networks)
        await change.add_key(key)
    holder = await ports.holders.find([key.digest])
    assert holder is not None
    assert holder.key.addresses == networks
    async with ports.accounts.change(organization.org_id) as change:
        await change.update_key(key, msgspec.structs.replace(key, addresses=()))
        assert (await change.key(key.key_id)).addresses == ()
