"""Who is calling."""

import pytest

from libs.common.contracts.auth import KeyDigest
from libs.common.ids import new_key
from libs.common.peppers import PepperRing
from services.auth.domain.errors import InvalidApiKey
from services.auth.domain.organization import OrganizationState
from services.auth.usecases.issue_key import IssueKey, KeyOrder
from services.auth.usecases.resolve_key import ResolveKey
from services.auth.usecases.revoke_key import RevokeKey
from services.auth.usecases.set_organization_state import SetOrganizationState
from tests.support.auth import OLD_RING, RING, StandingClock, an_organization, digests_of
from tests.support.auth_memory import MemoryAccounts


class World:
    """An organization with one key, issued under `ring`; auth's ring is `RING`."""

    def __init__(self, ring: PepperRing = RING) -> None:
        self.accounts = MemoryAccounts()
        self.clock = StandingClock()
        self.ring = ring
        self.resolve_key = ResolveKey(self.accounts, RING.active, self.clock)
        self.revoke_key = RevokeKey(self.accounts, self.clock)

    async def begin(self, **order: object) -> str:
        self.organization = await an_organization(self.accounts)
        issue = IssueKey(self.accounts, self.ring, self.clock)
        wanted = KeyOrder(org_id=self.organization.org_id, role="messaging", label="test", **order)  # type: ignore[arg-type]
        issued = await issue(wanted)
        self.key_id = issued.key_id
        return issued.text

    async def pepper(self) -> str:
        (key,) = await self.accounts.keys(self.organization.org_id)
        return key.pepper


async def test_a_key_resolves_to_its_principal_at_the_current_auth_version() -> None:
    world = World()
    text = await world.begin()
    principal = await world.resolve_key(digests_of(text))
    assert principal.key_id == world.key_id
    assert principal.org_id == world.organization.org_id
    assert principal.av == (await world.accounts.organization(world.organization.org_id)).av
    assert "api_messages_send" in principal.permissions


async def test_R051_unknown_revoked_expired_and_deleted_answer_the_same() -> None:
    answers = []
    for fault in ("unknown", "revoked", "expired", "deleted"):
        world = World()
        text = await world.begin(expires_at=StandingClock().now().replace(day=2))
        if fault == "unknown":
            text = new_key("fgk_")
        if fault == "revoked":
            await world.revoke_key(world.organization.org_id, world.key_id)
        if fault == "expired":
            world.clock.pass_time(days=1)
        if fault == "deleted":
            await SetOrganizationState(world.accounts)(world.organization.org_id, OrganizationState.DELETED)
        with pytest.raises(InvalidApiKey) as caught:
            await world.resolve_key(digests_of(text))
        answers.append((caught.value.code, caught.value.public, caught.value.fields))
    assert answers == [("INVALID_API_KEY", "Invalid or missing API key", {})] * 4


async def test_a_hit_on_the_old_pepper_moves_the_row_to_the_new_one() -> None:
    world = World(ring=OLD_RING)
    text = await world.begin()
    assert await world.pepper() == "a"
    before = (await world.resolve_key(digests_of(text))).av
    assert await world.pepper() == "b"
    # Now the old pepper may leave every ring.
    new_only = tuple(digest for digest in digests_of(text) if digest.pepper == "b")
    principal = await world.resolve_key(new_only)
    assert (principal.key_id, principal.av) == (world.key_id, before)


async def test_an_edge_that_does_not_know_the_new_pepper_yet_keeps_finding_the_row() -> None:
    world = World(ring=OLD_RING)
    text = await world.begin()
    for _ in range(2):
        assert (await world.resolve_key(digests_of(text, OLD_RING))).key_id == world.key_id
    assert await world.pepper() == "a"


async def test_a_key_that_opens_nothing_stays_where_it_is() -> None:
    world = World(ring=OLD_RING)
    text = await world.begin()
    await world.revoke_key(world.organization.org_id, world.key_id)
    with pytest.raises(InvalidApiKey):
        await world.resolve_key(digests_of(text))
    assert await world.pepper() == "a"


async def test_no_digest_finds_nobody() -> None:
    with pytest.raises(InvalidApiKey):
        await World().resolve_key(())
    with pytest.raises(InvalidApiKey):
        await World().resolve_key((KeyDigest(pepper="b", digest="00" * 32),))
