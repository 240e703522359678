"""A new key."""

import hashlib
import hmac
from datetime import timedelta

import pytest

from libs.common.contracts.auth import OrganizationChanged
from libs.common.ids import key_kind
from services.auth.domain.errors import InvalidRequest, NotFound
from services.auth.domain.key import KeyKind
from services.auth.usecases.issue_key import IssuedKey, IssueKey, KeyOrder
from tests.support.auth import NOW, RING, StandingClock, an_organization
from tests.support.auth_memory import MemoryAccounts


async def issue(accounts: MemoryAccounts, **order: object) -> IssuedKey:
    wanted = KeyOrder(**({"role": "developer", "label": "production"} | order))  # type: ignore[arg-type]
    return await IssueKey(accounts, RING, StandingClock())(wanted)


async def test_R009_R120_R135_a_key_is_shown_once_and_stored_as_a_peppered_digest() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    issued = await issue(accounts, org_id=organization.org_id)
    (stored,) = await accounts.keys(organization.org_id)

    assert key_kind(issued.text) == "organization"
    assert (stored.key_id, stored.label, stored.pepper) == (issued.key_id, "production", "b")
    assert stored.digest == hmac.new(bytes.fromhex("b0" * 32), issued.text.encode(), hashlib.sha256).hexdigest()
    assert stored.start == issued.text[:8]
    assert issued.text not in repr(stored)
    assert issued.text not in repr(issued)


async def test_R010_an_organization_has_as_many_keys_as_it_wants() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    texts = {(await issue(accounts, org_id=organization.org_id)).text for _ in range(3)}
    assert len(texts) == len(await accounts.keys(organization.org_id)) == 3


async def test_issuing_raises_the_auth_version_and_announces_it() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    await issue(accounts, org_id=organization.org_id)
    av = (await accounts.organization(organization.org_id)).av
    assert accounts.events[-1] == OrganizationChanged(org_id=organization.org_id, av=av)


async def test_what_was_ordered_is_what_is_stored() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    model_id = organization.org_id
    await issue(
        accounts,
        org_id=organization.org_id,
        role="READ_ONLY",
        label=" staging ",
        expires_at=NOW + timedelta(days=1),
        key_per_minute=9,
        model_id=model_id,
        api_version="2025-06-26",
        read_only=True,
    )
    (key,) = await accounts.keys(organization.org_id)
    assert (key.label, key.expires_at, key.key_per_minute) == ("staging", NOW + timedelta(days=1), 9)
    assert (key.model_id, key.api_version, key.read_only) == (model_id, "2025-06-26", True)
    assert key.role_id == next(r.role_id for r in await accounts.roles(organization.org_id) if r.name == "read_only")


@pytest.mark.parametrize("is_sandbox", [True, False])
async def test_a_sandbox_organization_has_sandbox_keys_and_no_other_has(is_sandbox: bool) -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts, is_sandbox=is_sandbox)
    issued = await issue(accounts, org_id=organization.org_id)
    assert issued.text.startswith("fgt_" if is_sandbox else "fgk_")
    wrong = KeyKind.ORGANIZATION if is_sandbox else KeyKind.SANDBOX
    with pytest.raises(InvalidRequest):
        await issue(accounts, org_id=organization.org_id, kind=wrong)


@pytest.mark.parametrize(
    "wrong", [{"label": ""}, {"expires_at": NOW}, {"key_per_minute": 0}, {"kind": KeyKind.PERSONAL}]
)
async def test_a_bad_order_is_refused_and_leaves_nothing(wrong: dict[str, object]) -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    said = list(accounts.events)
    with pytest.raises(InvalidRequest):
        await issue(accounts, org_id=organization.org_id, **wrong)
    assert await accounts.keys(organization.org_id) == []
    assert accounts.events == said


async def test_a_role_of_another_organization_is_not_found() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    with pytest.raises(NotFound):
        await issue(accounts, org_id=organization.org_id, role="somebody else's")
