"""People sign in, stay signed in, sign out; and set their passwords."""

import secrets
import uuid

import msgspec
import pytest

from libs.common.errors import Unavailable
from services.auth.domain.errors import Conflict, InvalidRequest, LinkGone, NotFound
from services.auth.domain.organization import OrganizationState, User, UserState
from services.auth.usecases.session import SignIn, SignOut
from services.auth.usecases.set_password import LinkPassword, SetPassword
from tests.support.auth import digests_of
from tests.support.auth_world import PASSWORD, World

replace = msgspec.structs.replace
NEW = "another good password"


async def a_world() -> tuple[World, User]:
    world = World()
    _, owner = await world.owner()
    return world, owner


def set_password(world: World) -> SetPassword:
    return SetPassword(world.accounts, world.accounts, world.passwords, world.sealed, world.clock)


async def link_of(world: World, user: User) -> bytes:
    link = secrets.token_bytes(32)
    await LinkPassword(world.accounts, world.clock)(user.org_id, user.user_id, link)
    return link


async def is_in(world: World, cookie: str) -> bool:
    return await world.sessions(digests_of(cookie)) is not None


async def test_R180_the_right_password_begins_a_session_of_ones_own() -> None:
    world, owner = await a_world()
    before = await world.av(owner.org_id)
    cookie, found = await world.sign_in(owner)
    assert found is not None
    assert (found.user.user_id, found.role_name, found.session.address) == (owner.user_id, "owner", "192.0.2.1")
    assert await is_in(world, cookie)
    other, _ = await world.sign_in(owner)
    assert other != cookie
    assert cookie not in repr(world.accounts.tables)
    assert await world.av(owner.org_id) == before
    entry = await world.last_entry(owner.org_id)
    assert (entry.action, entry.by, entry.user_id, entry.address) == (
        "session.begin",
        "user",
        owner.user_id,
        "192.0.2.1",
    )


@pytest.mark.parametrize("email", [" {} ", "{}"], ids=["blanks", "plain"])
async def test_an_address_is_read_as_people_write_it(email: str) -> None:
    world, owner = await a_world()
    _, found = await world.sign_in(replace(owner, email=email.format(owner.email.upper())))
    assert found is not None


@pytest.mark.parametrize("who", ["wrong password", "nobody", "no password yet", "suspended", "organization"])
async def test_who_may_not_in_is_told_one_thing_after_the_same_work(who: str) -> None:
    world, owner = await a_world()
    user, password = owner, PASSWORD
    if who == "wrong password":
        password = NEW
    elif who == "nobody":
        user = replace(owner, email="nobody@example.test")
    async with world.accounts.change(owner.org_id) as change:
        if who == "no password yet":
            user = replace(owner, user_id=uuid.uuid4(), email="new@example.test")
            await change.add_user(user)
        elif who == "suspended":
            await change.update_user(owner, replace(owner, state=UserState.SUSPENDED))
        elif who == "organization":
            await change.set_state(OrganizationState.SUSPENDED)
    cookie, found = await world.sign_in(user, password)
    assert found is None
    assert world.passwords.asked == 1, "a password is checked whoever it is"
    assert not await is_in(world, cookie)


async def test_a_form_that_was_sealed_for_another_session_is_refused() -> None:
    world, owner = await a_world()
    do = SignIn(world.accounts, world.accounts, world.passwords, world.sealed, world.clock)
    with pytest.raises(InvalidRequest):
        await do(email=owner.email, sealed=b"?" * 32 + b"x", session=digests_of("fgs_x"), address="")


async def test_too_many_at_once_are_told_so() -> None:
    world, owner = await a_world()
    world.passwords.is_busy = True
    with pytest.raises(Unavailable):
        await world.sign_in(owner)


async def test_a_digest_of_yesterday_is_renewed_when_its_password_is_known() -> None:
    world, owner = await a_world()
    world.passwords.parameters = "newer"
    await world.sign_in(owner, NEW)
    kept = await world.accounts.login(owner.email)
    assert kept is not None
    assert kept.digest == f"$argon2id$new${PASSWORD}"
    await world.sign_in(owner)
    kept = await world.accounts.login(owner.email)
    assert kept is not None
    assert kept.digest == f"$argon2id$newer${PASSWORD}"


async def test_a_session_lives_while_it_is_used_and_a_week_at_most() -> None:
    world, owner = await a_world()
    cookie, _ = await world.sign_in(owner)
    for _ in range(14):
        world.clock.pass_time(hours=11, minutes=59)
        assert await is_in(world, cookie)
    world.clock.pass_time(minutes=14)
    assert not await is_in(world, cookie)


async def test_a_session_that_nobody_uses_ends_after_half_a_day() -> None:
    world, owner = await a_world()
    cookie, _ = await world.sign_in(owner)
    world.clock.pass_time(hours=12)
    assert not await is_in(world, cookie)


async def test_signing_out_ends_one_session_or_all() -> None:
    world, owner = await a_world()
    cookies = [(await world.sign_in(owner))[0] for _ in range(3)]
    do = SignOut(world.accounts, world.accounts, world.clock)
    for _ in range(2):
        await do(digests_of(cookies[0]), is_everywhere=False)
    assert [await is_in(world, each) for each in cookies] == [False, True, True]
    await do(digests_of(cookies[0]), is_everywhere=True)
    assert await is_in(world, cookies[1]), "a session that has ended ends no other"
    await do(digests_of(cookies[1]), is_everywhere=True)
    assert [await is_in(world, each) for each in cookies] == [False] * 3
    await do(digests_of("fgs_unknown"), is_everywhere=True)
    assert (await world.last_entry(owner.org_id)).action == "session.end_all"


async def test_a_link_sets_a_password_once_and_ends_all_sessions() -> None:
    world, owner = await a_world()
    cookie, _ = await world.sign_in(owner)
    link = await link_of(world, owner)
    do = set_password(world)
    assert (await do.show(link)).email == owner.email
    with pytest.raises(InvalidRequest):
        await do.by_link(link, link + b"short", address="192.0.2.1")
    await do.by_link(link, link + NEW.encode(), address="192.0.2.1")
    assert not await is_in(world, cookie)
    assert [(await world.sign_in(owner, each))[1] is not None for each in (PASSWORD, NEW)] == [False, True]
    for again in (do.show(link), do.by_link(link, link + NEW.encode(), address="")):
        with pytest.raises(LinkGone):
            await again
    log = await world.accounts.audit_page(owner.org_id, limit=9, before=None)
    (entry,) = [each for each in log if each.action == "user.set_password" and each.by == "link"]
    assert (entry.user_id, entry.address) == (owner.user_id, "192.0.2.1")


async def test_a_link_ends_after_a_day_and_with_the_next_one() -> None:
    world, owner = await a_world()
    first = await link_of(world, owner)
    second = await link_of(world, owner)
    with pytest.raises(LinkGone):
        await set_password(world).show(first)
    world.clock.pass_time(hours=24)
    with pytest.raises(LinkGone):
        await set_password(world).show(second)


async def test_links_are_for_users_who_may_sign_in() -> None:
    world, owner = await a_world()
    other, _ = await world.owner()
    with pytest.raises(NotFound):
        await LinkPassword(world.accounts, world.clock)(other.org_id, owner.user_id, b"x" * 32)
    async with world.accounts.change(owner.org_id) as change:
        await change.update_user(owner, replace(owner, state=UserState.SUSPENDED))
    with pytest.raises(Conflict, match="suspended"):
        await link_of(world, owner)


async def test_the_operator_sets_a_password_too() -> None:
    world, owner = await a_world()
    cookie, _ = await world.sign_in(owner)
    do = set_password(world)
    with pytest.raises(InvalidRequest):
        await do.by_operator(owner.org_id, owner.user_id, owner.email)
    await do.by_operator(owner.org_id, owner.user_id, NEW)
    assert not await is_in(world, cookie)
    assert (await world.sign_in(owner, NEW))[1] is not None
    async with world.accounts.change(owner.org_id) as change:
        await change.update_user(owner, replace(owner, state=UserState.INVITED))
    with pytest.raises(Conflict, match="joined"):
        await do.by_operator(owner.org_id, owner.user_id, NEW)
