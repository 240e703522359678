"""The end of a key."""

import pytest

from libs.common.contracts.auth import KeyRevoked, OrganizationChanged
from services.auth.domain.errors import NotFound
from services.auth.domain.key import KeyState
from services.auth.usecases.issue_key import IssueKey, KeyOrder
from services.auth.usecases.revoke_key import RevokeKey
from tests.support.auth import NOW, RING, StandingClock, an_organization
from tests.support.auth_memory import MemoryAccounts


async def test_R011_R173_revoking_ends_one_key_and_no_other_and_tells_the_edges() -> None:
    accounts, clock = MemoryAccounts(), StandingClock()
    organization = await an_organization(accounts)
    issue = IssueKey(accounts, RING, clock)
    keys = [await issue(KeyOrder(org_id=organization.org_id, role="owner", label="x")) for _ in range(2)]
    before = (await accounts.organization(organization.org_id)).av

    av = await RevokeKey(accounts, clock)(organization.org_id, keys[0].key_id)

    assert av == before + 1 == (await accounts.organization(organization.org_id)).av
    states = {key.key_id: key.state(NOW) for key in await accounts.keys(organization.org_id)}
    assert states == {keys[0].key_id: KeyState.REVOKED, keys[1].key_id: KeyState.ACTIVE}
    digest = RING.digests(keys[0].text)[0][1]
    assert accounts.events[-2:] == [
        KeyRevoked(org_id=organization.org_id, key_id=keys[0].key_id, digest=digest, av=av),
        OrganizationChanged(org_id=organization.org_id, av=av),
    ]


async def test_revoking_again_changes_nothing_and_names_the_version_that_holds() -> None:
    accounts, clock = MemoryAccounts(), StandingClock()
    organization = await an_organization(accounts)
    key = await IssueKey(accounts, RING, clock)(KeyOrder(org_id=organization.org_id, role="owner", label="x"))
    revoke = RevokeKey(accounts, clock)
    first = await revoke(organization.org_id, key.key_id)
    said = list(accounts.events)
    clock.pass_time(days=1)
    assert await revoke(organization.org_id, key.key_id) == first
    assert accounts.events == said
    assert (await accounts.keys(organization.org_id))[0].revoked_at == NOW


async def test_a_foreign_key_is_not_found() -> None:
    accounts, clock = MemoryAccounts(), StandingClock()
    one, two = await an_organization(accounts), await an_organization(accounts)
    key = await IssueKey(accounts, RING, clock)(KeyOrder(org_id=one.org_id, role="owner", label="x"))
    with pytest.raises(NotFound):
        await RevokeKey(accounts, clock)(two.org_id, key.key_id)
    assert (await accounts.keys(one.org_id))[0].revoked_at is None
