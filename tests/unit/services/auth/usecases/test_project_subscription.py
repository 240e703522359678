"""Billing's word on the plan."""

import itertools
import uuid
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.auth import OrganizationChanged
from libs.common.contracts.billing import SubscriptionChanged
from libs.common.ids import uuid7
from services.auth.domain.errors import NotFound
from services.auth.domain.organization import OrganizationState
from services.auth.usecases.project_subscription import ProjectSubscription
from services.auth.usecases.set_organization_state import SetOrganizationState
from tests.support.auth import NOW, an_organization
from tests.support.auth_memory import MemoryAccounts


def told(org_id: uuid.UUID, version: int = 1, **changed: object) -> SubscriptionChanged:
    event = SubscriptionChanged(
        org_id=org_id,
        version=version,
        plan="pro",
        status="active",
        per_minute=300,
        per_day=50_000,
        period_start=NOW,
        period_end=NOW + timedelta(days=31),
    )
    return msgspec.structs.replace(event, **changed)


async def test_a_plan_becomes_the_organizations_limits_and_raises_the_auth_version() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    before = (await accounts.organization(organization.org_id)).av
    await ProjectSubscription(accounts)(told(organization.org_id), uuid7())
    found = await accounts.organization(organization.org_id)
    assert (found.subscription.status, found.subscription.plan, found.subscription.per_minute) == ("active", "pro", 300)
    assert found.av == before + 1
    assert accounts.events[-1] == OrganizationChanged(org_id=organization.org_id, av=before + 1)


async def test_the_same_message_twice_has_one_effect() -> None:
    accounts, message_id = MemoryAccounts(), uuid7()
    organization = await an_organization(accounts)
    project = ProjectSubscription(accounts)
    await project(told(organization.org_id, 1), message_id)
    after = await accounts.organization(organization.org_id)
    await project(told(organization.org_id, 2, plan="forged"), message_id)
    assert await accounts.organization(organization.org_id) == after


@given(st.permutations(range(1, 6)), st.data())
async def test_the_newest_version_wins_in_any_order_and_any_number_of_deliveries(
    order: list[int], data: st.DataObject
) -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    project = ProjectSubscription(accounts)
    deliveries = [(version, uuid7()) for version in order]
    deliveries += data.draw(st.lists(st.sampled_from(deliveries), max_size=4))
    effects = 0
    for newest, (version, message_id) in zip(
        itertools.accumulate((version for version, _ in deliveries), max), deliveries, strict=True
    ):
        before = (await accounts.organization(organization.org_id)).av
        await project(told(organization.org_id, version, per_minute=version), message_id)
        found = await accounts.organization(organization.org_id)
        assert (found.subscription.version, found.subscription.per_minute) == (newest, newest)
        effects += found.av - before
    assert effects == len({*itertools.accumulate(order, max)})  # an older version raises nothing


async def test_an_unknown_organization_is_not_found_and_the_message_may_come_again() -> None:
    accounts, message_id, org_id = MemoryAccounts(), uuid7(), uuid7()
    project = ProjectSubscription(accounts)
    with pytest.raises(NotFound):
        await project(told(org_id), message_id)
    await an_organization(accounts, org_id=org_id)
    await project(told(org_id), message_id)
    assert (await accounts.organization(org_id)).subscription.version == 1


async def test_the_plan_of_a_deleted_organization_matters_to_nobody() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    await SetOrganizationState(accounts)(organization.org_id, OrganizationState.DELETED)
    said = list(accounts.events)
    await ProjectSubscription(accounts)(told(organization.org_id), uuid7())
    assert accounts.events == said
