"""Organizations, their people and their roles."""

import pytest

from libs.common.contracts.auth import OrganizationChanged
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict, InvalidRequest, NotFound, OrganizationDeleted
from services.auth.domain.organization import OrganizationState
from services.auth.domain.role import BUILT_IN_ROLES
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.update_role import UpdateRole
from tests.support.auth import StandingClock, an_organization
from tests.support.auth_memory import MemoryAccounts


async def test_a_new_organization_has_its_built_in_roles_and_an_owner() -> None:
    accounts = MemoryAccounts()
    organization = await CreateOrganization(accounts)(name=" Example ", owner_email="boss@example.test")
    assert (organization.name, organization.is_sandbox) == ("Example", False)
    roles = await accounts.roles(organization.org_id)
    assert {role.name: role.permissions for role in roles} == BUILT_IN_ROLES
    with pytest.raises(Conflict):
        await AddUser(accounts)(organization.org_id, email="BOSS@example.test", role="owner")


async def test_an_organization_may_bring_its_id_once() -> None:
    accounts, org_id = MemoryAccounts(), uuid7()
    create = CreateOrganization(accounts)
    assert (await create(name="one", org_id=org_id, is_sandbox=True)).org_id == org_id
    with pytest.raises(Conflict):
        await create(name="two", org_id=org_id)
    with pytest.raises(InvalidRequest):
        await create(name=" ")


async def test_R168_suspending_acts_by_the_auth_version_and_can_be_taken_back() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    set_state = SetOrganizationState(accounts)
    before = (await accounts.organization(organization.org_id)).av

    assert await set_state(organization.org_id, OrganizationState.SUSPENDED) == before + 1
    assert (
        await set_state(organization.org_id, OrganizationState.SUSPENDED) == before + 1
    )  # nothing new: nothing raised
    assert await set_state(organization.org_id, OrganizationState.ACTIVE) == before + 2
    assert accounts.events[-2:] == [
        OrganizationChanged(org_id=organization.org_id, av=before + 1),
        OrganizationChanged(org_id=organization.org_id, av=before + 2),
    ]


async def test_a_deleted_organization_is_there_no_more() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    set_state = SetOrganizationState(accounts)
    await set_state(organization.org_id, OrganizationState.DELETED)
    with pytest.raises(OrganizationDeleted):
        await set_state(organization.org_id, OrganizationState.ACTIVE)


async def test_a_user_has_a_role_of_the_organization() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    user = await AddUser(accounts)(organization.org_id, email="dev@example.test", role="developer")
    assert user.role_id == next(r.role_id for r in await accounts.roles(organization.org_id) if r.name == "developer")
    with pytest.raises(NotFound):
        await AddUser(accounts)(organization.org_id, email="dev2@example.test", role="nobody")
    with pytest.raises(InvalidRequest):
        await AddUser(accounts)(organization.org_id, email="not an address", role="developer")
    with pytest.raises(NotFound):
        await AddUser(accounts)(uuid7(), email="dev3@example.test", role="developer")


async def test_R039_a_role_of_ones_own_and_its_edit_which_raises_the_auth_version() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    org_id = organization.org_id
    await CreateRole(accounts, StandingClock())(org_id, name="Support", permissions=["api_chats_list"])
    before = (await accounts.organization(org_id)).av

    av = await UpdateRole(accounts)(org_id, name="support", permissions=["api_chats_read"])

    assert av == before + 1
    role = (await accounts.roles(org_id))[-1]
    assert role.name == "Support"
    assert role.permissions == {"api_chats_read", "api_self_read"}


async def test_roles_that_cannot_be() -> None:
    accounts = MemoryAccounts()
    org_id = (await an_organization(accounts)).org_id
    create, update = CreateRole(accounts, StandingClock()), UpdateRole(accounts)
    await create(org_id, name="support", permissions=[])
    with pytest.raises(Conflict):
        await create(org_id, name="SUPPORT", permissions=[])
    for name in ("owner", "Messaging"):
        with pytest.raises(InvalidRequest):
            await create(org_id, name=name, permissions=[])
        with pytest.raises(InvalidRequest):
            await update(org_id, name=name, permissions=[])
    with pytest.raises(InvalidRequest):
        await create(org_id, name="other", permissions=["api_everything"])
    with pytest.raises(NotFound):
        await update(org_id, name="unknown", permissions=[])
