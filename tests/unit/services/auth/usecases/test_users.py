"""People of an organization: invited by a link, given roles, removed; never without an owner."""

import hashlib
import uuid
from datetime import timedelta

import pytest

from libs.common.contracts.auth import Actor, KeyRevoked
from services.auth.app import use_cases
from services.auth.domain.errors import Conflict, InvalidRequest, LinkGone, NotFound, PermissionDenied
from services.auth.domain.key import KeyKind
from services.auth.domain.organization import UserState
from services.auth.domain.user import INVITATION_LIFE, ListedUser
from services.auth.usecases import invite_user
from services.auth.usecases.issue_key import KeyOrder
from tests.support.auth import RING, StandingClock, a_key, an_organization
from tests.support.auth_calls import MemoryCallRecords
from tests.support.auth_memory import MemoryAccounts


class World:
    """An organization with one owner."""

    def __init__(self) -> None:
        self.accounts, self.clock = MemoryAccounts(), StandingClock()
        self.do = use_cases(self.accounts, self.accounts, MemoryCallRecords(), RING, self.clock)
        self.org_id = self.owner_id = uuid.UUID(int=0)

    async def begin(self) -> "World":
        self.org_id = (await an_organization(self.accounts)).org_id
        self.owner_id = (await self.users())[0].user.user_id
        return self

    async def users(self) -> list[ListedUser]:
        return (await self.accounts.user_page(self.org_id, limit=2_000, offset=0))[0]

    async def invite(
        self, email: str = "ada@example.test", role: str = "developer", token: str = "t", by: Actor | None = None
    ) -> uuid.UUID:
        return await self.do.invite_user(self.org_id, email=email, role=role, link=link(token), by=by)

    async def join(self, token: str = "t") -> None:
        await self.do.accept_invitation(link(token), address="203.0.113.7")

    async def state(self, user_id: uuid.UUID) -> UserState:
        return (await self.accounts.listed_user(self.org_id, user_id)).user.state

    async def actor(self, role: str) -> Actor:
        order = KeyOrder(org_id=self.org_id, role=role, label="x")
        return Actor(key_id=(await self.do.issue_key(order)).key_id)


def link(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@pytest.fixture
async def world() -> World:
    return await World().begin()


async def test_an_invited_user_joins_by_the_link_once(world: World) -> None:
    user_id = await world.invite()
    assert await world.state(user_id) is UserState.INVITED
    view = await world.do.accept_invitation.show(link("t"))
    assert (view.organization, view.email, view.role_name) == ("Example", "ada@example.test", "developer")
    await world.join()
    assert await world.state(user_id) is UserState.ACTIVE
    for again in (world.join(), world.do.accept_invitation.show(link("t")), world.join("another")):
        with pytest.raises(LinkGone):
            await again
    entries = await world.accounts.audit_page(world.org_id, limit=1, before=None)
    assert (entries[0].action, entries[0].by, entries[0].user_id, entries[0].address) == (
        "user.join", "link", user_id, "203.0.113.7",
    )  # fmt: skip


async def test_a_link_ends_by_time_by_a_newer_one_and_by_removal(world: World) -> None:
    user_id = await world.invite(token="first")
    assert await world.invite(email="ADA@example.test", role="messaging", token="second") == user_id
    with pytest.raises(LinkGone):
        await world.join("first")
    assert (await world.users())[1].role_name == "messaging"
    world.clock.time += INVITATION_LIFE
    with pytest.raises(LinkGone):
        await world.join("second")
    await world.invite(token="third")
    world.clock.time += INVITATION_LIFE - timedelta(seconds=1)
    await world.do.remove_user(world.org_id, user_id)
    with pytest.raises(LinkGone):
        await world.join("third")
    assert user_id not in [each.user.user_id for each in await world.users()]
    assert await world.invite(token="fourth") != user_id  # the address is free again


async def test_an_invitation_takes_no_address_elsewhere_and_tells_nothing(world: World) -> None:
    other = await an_organization(world.accounts)
    await world.invite(email=f"{other.org_id}@example.test")  # that organization's owner
    await world.do.invite_user(other.org_id, email="ada@example.test", role="owner", link=link("theirs"))
    await world.invite(token="ours")
    await world.join("theirs")
    with pytest.raises(Conflict):
        await world.join("ours")  # an address is one user's
    with pytest.raises(LinkGone):
        await world.join("nobody's")


async def test_the_last_owner_stays(world: World) -> None:
    owner = world.owner_id
    for attempt in (
        world.do.remove_user(world.org_id, owner),
        world.do.update_user(world.org_id, owner, role="developer"),
        world.do.update_user(world.org_id, owner, is_suspended=True),
    ):
        with pytest.raises(Conflict):
            await attempt
    second = await world.invite(role="owner")
    with pytest.raises(Conflict):
        await world.do.remove_user(world.org_id, owner)  # who has not joined is no owner yet
    await world.join()
    await world.do.update_user(world.org_id, owner, is_suspended=True)
    with pytest.raises(Conflict):
        await world.do.remove_user(world.org_id, second)
    await world.do.update_user(world.org_id, owner, is_suspended=False)
    await world.do.remove_user(world.org_id, second)


async def test_a_placeholder_is_no_owner(world: World) -> None:
    world.org_id = (await world.do.create_organization(name="Nobody's")).org_id
    placeholder = (await world.users())[0].user.user_id
    with pytest.raises(Conflict):
        await world.do.remove_user(world.org_id, placeholder)
    user_id = await world.invite(role="owner")
    await world.join()
    with pytest.raises(Conflict):
        await world.do.update_user(world.org_id, user_id, role="developer")
    await world.do.remove_user(world.org_id, placeholder)


async def test_what_goes_with_a_user_are_the_personal_keys(world: World) -> None:
    user_id = await world.invite()
    await world.join()
    own = a_key(world.org_id, None, user_id=user_id, scopes=frozenset({"read:chat"}))
    async with world.accounts.change(world.org_id) as change:
        await change.add_key(own)
    shared = await world.do.issue_key(KeyOrder(org_id=world.org_id, role="owner", label="shared"))
    av = await world.do.remove_user(world.org_id, user_id)
    states = {key.kind: key.revoked_at is not None for key in await world.accounts.keys(world.org_id)}
    assert states == {KeyKind.PERSONAL: True, KeyKind.ORGANIZATION: False}
    revoked = [event for event in world.accounts.events if isinstance(event, KeyRevoked)]
    assert [(event.key_id, event.av) for event in revoked] == [(own.key_id, av)]
    assert shared.key_id != own.key_id


async def test_nobody_gives_a_role_beyond_the_own_one(world: World) -> None:
    await world.do.create_role(
        world.org_id, name="people", permissions=["api_organization_users_invite", "api_organization_users_update"]
    )
    by, user_id = await world.actor("people"), await world.invite(role="people")
    for attempt in (
        world.invite(email="eve@example.test", role="owner", by=by),
        world.do.update_user(world.org_id, user_id, role="developer", by=by),
    ):
        with pytest.raises(PermissionDenied):
            await attempt


async def test_refusals_name_what_is_wrong_and_change_nothing(world: World) -> None:
    user_id = await world.invite()
    before = (await world.accounts.organization(world.org_id)).av
    other = await an_organization(world.accounts)
    stranger = (await world.accounts.user_page(other.org_id, limit=1, offset=0))[0][0].user.user_id
    for attempt, error in (
        (world.invite(email="no address"), InvalidRequest),
        (world.invite(role="nobody"), NotFound),
        (world.invite(email=f"{world.org_id}@example.test"), Conflict),
        (world.do.update_user(world.org_id, user_id, is_suspended=True), Conflict),
        (world.do.update_user(world.org_id, stranger, role="owner"), NotFound),
        (world.do.remove_user(world.org_id, stranger), NotFound),
        (world.do.remove_user(world.org_id, uuid.uuid4()), NotFound),
    ):
        with pytest.raises(error):
            await attempt
    assert await world.do.update_user(world.org_id, user_id, role="developer") == before
    assert (await world.accounts.organization(world.org_id)).av == before


async def test_an_organization_has_so_many_users_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invite_user, "USERS_MAX", 3)
    for number in range(2):
        await world.invite(email=f"user-{number}@example.test", token=f"t{number}")
    with pytest.raises(Conflict):
        await world.invite()
    assert await world.invite(email="user-1@example.test", token="again")  # who is invited takes no other place
