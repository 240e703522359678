"""Keys and roles changed by a key: never more than that key has, in force at once, each change in the log."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.auth import Actor, KeyRevoked
from services.auth.app import use_cases
from services.auth.domain.errors import Conflict, InvalidApiKey, InvalidRequest, NotFound, PermissionDenied
from services.auth.domain.key import KeyState
from services.auth.domain.role import ROLES_MAX
from services.auth.usecases.issue_key import IssuedKey, KeyOrder
from tests.support.auth import NOW, RING, StandingClock, an_organization
from tests.support.auth_calls import MemoryCallRecords
from tests.support.auth_memory import MemoryAccounts


class World:
    """An organization with an owner's key, and a limited one."""

    def __init__(self) -> None:
        self.accounts, self.clock = MemoryAccounts(), StandingClock()
        self.do = use_cases(self.accounts, self.accounts, MemoryCallRecords(), RING, self.clock)
        self.org_id = uuid.UUID(int=0)

    async def begin(self) -> "World":
        self.org_id = (await an_organization(self.accounts)).org_id
        return self

    async def key(self, role: str = "owner", by: Actor | None = None, **order: Any) -> IssuedKey:
        return await self.do.issue_key(KeyOrder(org_id=self.org_id, role=role, label="a label", by=by, **order))

    async def actor(self, role: str = "owner", **order: Any) -> Actor:
        return Actor(key_id=(await self.key(role, **order)).key_id, address="203.0.113.7")

    async def role(self, name: str, *permissions: str, by: Actor | None = None) -> uuid.UUID:
        return (await self.do.create_role(self.org_id, name=name, permissions=permissions, by=by)).role_id

    async def state(self, key_id: uuid.UUID) -> KeyState:
        return (await self.accounts.listed_key(self.org_id, key_id)).key.state(self.clock.now())

    async def log(self) -> list[tuple[str, str, str]]:
        entries = await self.accounts.audit_page(self.org_id, limit=100, before=None)
        return [(each.action, each.by, each.address) for each in reversed(entries)]


@pytest.fixture
async def world() -> World:
    return await World().begin()


async def test_R039_a_key_never_grants_more_than_its_maker_has(world: World) -> None:
    await world.role("keys only", "api_keys_create", "api_keys_rotate", "api_keys_update", "api_roles_update")
    strong, by = await world.key(), await world.actor("keys only")
    weak = await world.role("weak", "api_keys_create")

    made = await world.key("weak", by=by)
    for attempt in (
        world.key("owner", by=by),
        world.role("mine", "api_chats_list", by=by),
        world.do.replace_role(world.org_id, weak, name="weak", permissions=["api_chats_list"], by=by),
        world.do.update_key(world.org_id, made.key_id, role="owner", by=by),
        world.do.rotate_key(world.org_id, strong.key_id, by=by),
    ):
        with pytest.raises(PermissionDenied, match="cannot grant"):
            await attempt
    # to take away is no grant
    await world.do.update_key(world.org_id, strong.key_id, role="weak", by=by)


async def test_a_keys_bounds_are_its_makers(world: World) -> None:
    model, end = uuid.uuid4(), NOW + timedelta(days=2)
    by = await world.actor(model_id=model, expires_at=end, key_per_minute=9)
    made = (await world.key(by=by)).key
    assert (made.model_id, made.expires_at, made.key_per_minute) == (model, end, 9)
    for beyond in ({"model_id": uuid.uuid4()}, {"expires_at": end + timedelta(seconds=1)}, {"key_per_minute": 10}):
        with pytest.raises(PermissionDenied):
            await world.key(by=by, **beyond)


async def test_a_maker_that_was_revoked_meanwhile_makes_nothing(world: World) -> None:
    by = await world.actor()
    assert by.key_id is not None
    await world.do.revoke_key(world.org_id, by.key_id)
    with pytest.raises(InvalidApiKey):
        await world.key(by=by)
    with pytest.raises(InvalidApiKey):
        await world.key(by=Actor(key_id=uuid.uuid4()))


async def test_R164_rotation_keeps_what_the_key_is_and_ends_the_old_one_after_the_overlap(world: World) -> None:
    old = (await world.key("messaging", expires_at=NOW + timedelta(days=30))).key
    world.clock.pass_time(days=10)
    new = await world.do.rotate_key(world.org_id, old.key_id, overlap_seconds=3_600, by=await world.actor())

    assert (new.key.role_id, new.key.label, new.role_name) == (old.role_id, old.label, "messaging")
    assert new.key.expires_at == NOW + timedelta(days=40)
    assert [await world.state(each) for each in (old.key_id, new.key_id)] == [KeyState.ACTIVE, KeyState.ACTIVE]
    world.clock.pass_time(seconds=3_599)
    assert await world.state(old.key_id) is KeyState.ACTIVE
    world.clock.pass_time(seconds=1)
    assert await world.state(old.key_id) is KeyState.EXPIRED
    with pytest.raises(Conflict):
        await world.do.rotate_key(world.org_id, old.key_id)


async def test_R164_without_an_overlap_the_old_key_ends_at_once_and_no_overlap_prolongs_it(world: World) -> None:
    old = await world.key()
    await world.do.rotate_key(world.org_id, old.key_id)
    assert await world.state(old.key_id) is KeyState.REVOKED
    assert any(isinstance(event, KeyRevoked) and event.key_id == old.key_id for event in world.accounts.events)

    short = await world.key(expires_at=NOW + timedelta(seconds=60))
    await world.do.rotate_key(world.org_id, short.key_id, overlap_seconds=86_400)
    assert (await world.accounts.listed_key(world.org_id, short.key_id)).key.expires_at == NOW + timedelta(seconds=60)
    for wrong in (-1, 86_401):
        with pytest.raises(InvalidRequest):
            await world.do.rotate_key(world.org_id, short.key_id, overlap_seconds=wrong)


async def test_a_role_in_use_or_built_in_stays(world: World) -> None:
    role_id = await world.role("senders", "api_messages_send")
    key = await world.key("senders")
    owner = next(role for role in await world.accounts.roles(world.org_id) if role.name == "owner")
    for kept in (role_id, owner.role_id):
        with pytest.raises(Conflict):
            await world.do.remove_role(world.org_id, kept)
    with pytest.raises(Conflict):
        await world.do.replace_role(world.org_id, owner.role_id, name="owner2", permissions=[])
    with pytest.raises(NotFound):
        await world.do.remove_role(world.org_id, uuid.uuid4())

    await world.do.revoke_key(world.org_id, key.key_id)
    await world.do.remove_role(world.org_id, role_id)
    with pytest.raises(NotFound):
        await world.key("senders")
    await world.role("senders")  # the name is free again


async def test_what_changes_nothing_raises_no_version_and_leaves_no_line(world: World) -> None:
    role_id = await world.role("senders", "api_messages_send")
    key = await world.key("senders")
    before, lines = (await world.accounts.organization(world.org_id)).av, len(await world.log())
    assert await world.do.update_key(world.org_id, key.key_id, label="a label", role="senders") == before
    same = await world.do.replace_role(world.org_id, role_id, name="senders", permissions=["api_messages_send"])
    assert same[1] == before
    assert await world.do.rename_organization(world.org_id, name="Example") == before
    assert len(await world.log()) == lines


async def test_an_organization_has_so_many_roles_and_no_more(world: World) -> None:
    for number in range(ROLES_MAX - 5):
        await world.role(f"role {number}")
    with pytest.raises(Conflict):
        await world.role("one more")


async def test_every_change_says_who_and_from_where(world: World) -> None:
    by, key = await world.actor(), "203.0.113.7"
    begun = len(await world.log())
    role_id = await world.role("senders", "api_messages_send", by=by)
    made = await world.key("senders", by=by)
    await world.do.update_key(world.org_id, made.key_id, label="other", by=by)
    await world.do.rotate_key(world.org_id, made.key_id, overlap_seconds=60, by=by)
    await world.do.replace_role(world.org_id, role_id, name="senders", permissions=[], by=by)
    await world.do.rename_organization(world.org_id, name="Other", by=by)
    await world.do.revoke_key(world.org_id, made.key_id, by=by)
    await world.do.revoke_key(world.org_id, made.key_id)  # the second time changes nothing
    assert (await world.log())[begun:] == [
        (action, "key", key)
        for action in (
            "role.create", "key.create", "key.update", "key.create", "key.update", "role.update", "organization.update",
            "key.revoke",
        )
    ]  # fmt: skip
    entries = await world.accounts.audit_page(world.org_id, limit=1, before=None)
    assert entries[0].key_id == by.key_id
    text = repr(await world.accounts.audit_page(world.org_id, limit=100, before=None))
    assert made.text not in text
    assert made.key.digest not in text


async def test_addresses_are_kept_in_one_form_and_carried_over_by_a_rotation(world: World) -> None:
    key = await world.key(addresses=("203.0.113.7",))
    assert key.key.addresses == ("203.0.113.7/32",)
    await world.do.update_key(world.org_id, key.key_id, addresses=("203.0.113.0/24", "203.0.113.7"))
    rotated = await world.do.rotate_key(world.org_id, key.key_id)
    assert rotated.key.addresses == ("203.0.113.0/24", "203.0.113.7/32")
    await world.do.update_key(world.org_id, rotated.key_id, addresses=())
    assert (await world.accounts.listed_key(world.org_id, rotated.key_id)).key.addresses == ()
    for wrong in (world.key(addresses=("x",)), world.do.update_key(world.org_id, rotated.key_id, addresses=("x",))):
        with pytest.raises(InvalidRequest):
            await wrong


async def test_a_key_bound_to_addresses_frees_no_key_from_them(world: World) -> None:
    by, other = await world.actor(addresses=("203.0.113.0/24",)), await world.key()
    made = await world.key(by=by)
    assert made.key.addresses == ("203.0.113.0/24",)
    narrower = await world.key(by=by, addresses=("203.0.113.7",))
    for attempt in (
        world.key(by=by, addresses=("198.51.100.1",)),
        world.do.update_key(world.org_id, by.key_id or other.key_id, addresses=(), by=by),
        world.do.update_key(world.org_id, narrower.key_id, addresses=("0.0.0.0/0",), by=by),
        world.do.rotate_key(world.org_id, (await world.key(addresses=("198.51.100.1",))).key_id, by=by),
    ):
        with pytest.raises(PermissionDenied):
            await attempt
    await world.do.update_key(world.org_id, narrower.key_id, addresses=("203.0.113.8",), by=by)
