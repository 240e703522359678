"""A user's own key: one at a time, with scopes that stay, and no more than asked for."""

import uuid
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.auth import PERSONAL_KEYS, Actor, KeyRevoked
from libs.common.contracts.versions import API_VERSIONS, NEWEST
from libs.common.ids import key_kind
from services.auth.app import use_cases
from services.auth.domain.errors import Conflict, InvalidRequest, NotEnabled, NotFound, PermissionDenied
from services.auth.domain.key import KeyState, principal_of
from services.auth.domain.scope import READ_SCOPES, SCOPES
from services.auth.usecases.issue_personal_key import IssuedPersonalKey, PersonalKeyOrder
from tests.support.auth import NOW, RING, StandingClock, an_organization, digests_of
from tests.support.auth_calls import MemoryCallRecords
from tests.support.auth_memory import MemoryAccounts


class World:
    """An organization with personal keys enabled, and its owner."""

    def __init__(self) -> None:
        self.accounts, self.clock = MemoryAccounts(), StandingClock()
        self.do = use_cases(self.accounts, self.accounts, MemoryCallRecords(), RING, self.clock)
        self.org_id = self.user_id = uuid.UUID(int=0)

    async def begin(self) -> "World":
        self.org_id = (await an_organization(self.accounts)).org_id
        await self.do.set_features(self.org_id, enable=frozenset({PERSONAL_KEYS}))
        (listed,), _ = await self.accounts.user_page(self.org_id, limit=1, offset=0)
        self.user_id = listed.user.user_id
        return self

    async def issue(self, **order: Any) -> IssuedPersonalKey:
        return await self.do.issue_personal_key(PersonalKeyOrder(org_id=self.org_id, user_id=self.user_id, **order))

    async def succeed(self, key: IssuedPersonalKey, **order: Any) -> IssuedPersonalKey:
        return await self.issue(by=Actor(key_id=key.key.key_id, user_id=key.key.user_id), **order)

    async def states(self) -> list[KeyState]:
        return [key.state(self.clock.now()) for key in await self.accounts.keys(self.org_id)]


@pytest.fixture
async def world() -> World:
    return await World().begin()


async def test_R132_a_personal_key_is_one_users_and_shown_once(world: World) -> None:
    issued = await world.issue()
    assert key_kind(issued.text) == "personal"
    assert issued.key.user_id == world.user_id
    assert issued.text not in repr(issued)
    assert issued.key.digest == RING.digests(issued.text)[0][1]
    principal = await world.do.resolve_key(digests_of(issued.text))
    assert (principal.kind, principal.user_id) == ("personal", world.user_id)


async def test_R133_a_new_one_replaces_the_old_at_once_and_the_edges_are_told(world: World) -> None:
    old = await world.issue()
    new = await world.issue()
    assert sorted(await world.states()) == [KeyState.ACTIVE, KeyState.REVOKED]
    (revoked,) = (event for event in world.accounts.events if isinstance(event, KeyRevoked))
    assert (revoked.key_id, revoked.av) == (old.key.key_id, new.av)


async def test_R133_one_that_has_expired_does_not_stand_in_the_way(world: World) -> None:
    await world.issue(expires_at=NOW + timedelta(days=1))
    world.clock.pass_time(days=2)
    await world.issue()
    assert KeyState.ACTIVE in await world.states()


async def test_R159_without_scopes_named_it_reads_everything_and_writes_nothing(world: World) -> None:
    issued = await world.issue()
    assert issued.key.scopes == READ_SCOPES
    assert not any(scope.startswith("write:") for scope in READ_SCOPES)
    assert (await world.issue(scopes=frozenset({"write:chat"}))).key.scopes == frozenset({"write:chat"})


@pytest.mark.parametrize(
    "wrong", [{"scopes": frozenset({"read:everything"})}, {"scopes": frozenset()}, {"api_version": "2020-01-01"}]
)
async def test_what_is_not_there_cannot_be_ordered(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await world.issue(**wrong)


async def test_R148_personal_keys_are_switched_on_for_single_organizations(world: World) -> None:
    features, av = await world.do.set_features(world.org_id, disable=frozenset({PERSONAL_KEYS}))
    assert features == frozenset()
    assert (await world.do.set_features(world.org_id, disable=frozenset({PERSONAL_KEYS})))[1] == av, "nothing changed"
    with pytest.raises(NotEnabled):
        await world.issue()
    with pytest.raises(InvalidRequest):
        await world.do.set_features(world.org_id, enable=frozenset({"everything"}))


async def test_only_active_users_of_the_organization_have_one(world: World) -> None:
    with pytest.raises(NotFound):
        await world.do.issue_personal_key(PersonalKeyOrder(org_id=world.org_id, user_id=uuid.uuid4()))
    other = await world.do.add_user(world.org_id, email="dev@example.test", role="developer")
    await world.do.update_user(world.org_id, other.user_id, role=None, is_suspended=True)
    with pytest.raises(Conflict):
        await world.do.issue_personal_key(PersonalKeyOrder(org_id=world.org_id, user_id=other.user_id))


async def test_R137_a_successor_has_the_same_scopes_or_fewer(world: World) -> None:
    first = await world.issue(scopes=frozenset({"read:chat", "read:fan"}), expires_at=NOW + timedelta(days=9))
    same = await world.succeed(first)
    assert (same.key.scopes, same.key.expires_at) == (first.key.scopes, first.key.expires_at)
    fewer = await world.succeed(same, scopes=frozenset({"read:chat"}))
    with pytest.raises(PermissionDenied, match="read:fan"):
        await world.succeed(fewer, scopes=frozenset({"read:chat", "read:fan"}))
    assert (await world.states()).count(KeyState.ACTIVE) == 1


async def test_R132_nobody_makes_another_users_key(world: World) -> None:
    other = await world.do.add_user(world.org_id, email="dev@example.test", role="developer")
    mine = await world.issue()
    by = Actor(key_id=mine.key.key_id, user_id=mine.key.user_id)
    with pytest.raises(PermissionDenied):
        await world.do.issue_personal_key(PersonalKeyOrder(org_id=world.org_id, user_id=other.user_id, by=by))


async def test_it_may_read_and_end_itself_and_manage_nothing_else(world: World) -> None:
    issued = await world.issue(scopes=SCOPES)
    principal = principal_of(await holder_of(world, issued), NOW)
    own = {name for name in principal.permissions if name.startswith(("api_personal_key", "api_self", "api_keys"))}
    assert own == {"api_self_read", "api_personal_key_read", "api_personal_key_create", "api_personal_key_revoke"}
    assert "api_organization_read" not in principal.permissions


async def holder_of(world: World, issued: IssuedPersonalKey) -> Any:
    async with world.accounts.change(world.org_id) as change:
        return await change.holder(issued.key.key_id)


async def test_it_is_pinned_to_the_newest_version_unless_another_is_named(world: World) -> None:
    assert (await world.issue()).key.api_version == NEWEST
    assert (await world.issue(api_version=API_VERSIONS[0])).key.api_version == API_VERSIONS[0]


async def test_the_audit_log_says_who_got_which_scopes(world: World) -> None:
    issued = await world.issue(scopes=frozenset({"read:chat"}))
    entries = await world.accounts.audit_page(world.org_id, limit=10, before=None)
    (made,) = (entry for entry in entries if entry.action == "key.create")
    assert made.object_id == issued.key.key_id
    assert (made.details["user_id"], made.details["scopes"]) == (str(world.user_id), ["read:chat"])
    assert msgspec.json.encode(made.details).find(issued.text.encode()) == -1
