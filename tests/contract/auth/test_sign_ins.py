"""The port `SignIns`, and what a change writes for people who sign in, by the double and by Postgres."""

import uuid
from datetime import timedelta

import msgspec
import pytest

from services.auth.domain.errors import NotFound
from services.auth.domain.organization import OrganizationState, UserState
from tests.contract.auth.conftest import AppPorts
from tests.support.auth import NOW
from tests.support.auth_apps import a_digest, a_password_link, a_session, an_owner

DIGEST = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"
replace = msgspec.structs.replace


async def test_who_has_an_address_in_any_case_of_letters_and_the_password_they_set_last(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    login = await app_ports.sign_ins.login(owner.email.upper())
    assert login is not None
    assert (login.user, login.org_state, login.digest) == (owner, OrganizationState.ACTIVE, None)
    for digest in (DIGEST, DIGEST + "x"):
        async with app_ports.accounts.change(organization.org_id) as change:
            await change.set_password(owner.user_id, digest, NOW)
            assert await change.password(owner.user_id) == digest
    login = await app_ports.sign_ins.login(owner.email)
    assert login is not None
    assert login.digest == DIGEST + "x"
    assert await app_ports.sign_ins.login("nobody@example.test") is None
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av
    (entry,) = await app_ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.object_id, entry.details) == ("user.set_password", owner.user_id, {})


@pytest.mark.parametrize(("state", "is_found"), [(UserState.SUSPENDED, True), (UserState.REMOVED, False)])
async def test_a_removed_user_has_no_address_any_more(app_ports: AppPorts, state: UserState, *, is_found: bool) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.update_user(owner, replace(owner, state=state))
    login = await app_ports.sign_ins.login(owner.email)
    assert (login is not None) is is_found
    if is_found:
        assert await app_ports.sign_ins.organization_of_user(owner.user_id) == organization.org_id
    else:
        with pytest.raises(NotFound):
            await app_ports.sign_ins.organization_of_user(owner.user_id)


async def test_a_session_is_found_with_whom_it_speaks_for(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    session = a_session(owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.add_session(session)
    found = await app_ports.sign_ins.session([a_digest(), session.digest])
    assert found is not None
    assert (found.session, found.user, found.role_name) == (session, owner, "owner")
    assert found.organization.org_id == organization.org_id
    assert found.stands(NOW)
    assert await app_ports.sign_ins.session([a_digest()]) is None
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av
    (entry,) = await app_ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.object_id) == ("session.begin", session.session_id)


async def test_the_last_use_of_a_session_only_moves_on_and_its_first_end_stands(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    session = a_session(owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.add_session(session)
    later = NOW + timedelta(hours=2)
    for at in (later, NOW + timedelta(hours=1)):
        await app_ports.sign_ins.saw(session, at)
    for at in (later, later + timedelta(hours=1)):
        await app_ports.sign_ins.end(session, at)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.end_sessions(owner.user_id, later + timedelta(hours=2))
    found = await app_ports.sign_ins.session([session.digest])
    assert found is not None
    assert (found.session.seen_at, found.session.ended_at) == (later, later)


async def test_all_sessions_of_one_user_end_and_nobody_elses(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    other_organization, other = await an_owner(app_ports.accounts)
    mine, theirs = [a_session(owner), a_session(owner)], a_session(other)
    async with app_ports.accounts.change(organization.org_id) as change:
        for session in mine:
            await change.add_session(session)
    async with app_ports.accounts.change(other_organization.org_id) as change:
        await change.add_session(theirs)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.end_sessions(owner.user_id, NOW)
    found = [await app_ports.sign_ins.session([each.digest]) for each in (*mine, theirs)]
    assert [each and each.session.ended_at for each in found] == [NOW, NOW, None]


async def test_a_password_link_takes_the_place_of_an_earlier_one_and_is_used_once(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    first, second = a_password_link(owner), a_password_link(owner)
    for link in (first, second):
        async with app_ports.accounts.change(organization.org_id) as change:
            await change.add_password_link(link)
    assert await app_ports.sign_ins.find_link(first.digest, NOW) is None
    view = await app_ports.sign_ins.find_link(second.digest, NOW)
    assert view is not None
    assert (view.link, view.organization, view.email) == (second, "Example", owner.email)
    ended = []
    for digest in (first.digest, second.digest, second.digest):
        async with app_ports.accounts.change(organization.org_id) as change:
            ended.append(await change.end_password_link(owner.user_id, NOW, digest))
    assert ended == [False, True, False]
    assert await app_ports.sign_ins.find_link(second.digest, NOW) is None


async def test_a_password_link_ends_by_itself(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    link = a_password_link(owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.add_password_link(link)
    assert await app_ports.sign_ins.find_link(link.digest, link.expires_at - timedelta(seconds=1)) is not None
    assert await app_ports.sign_ins.find_link(link.digest, link.expires_at) is None
    async with app_ports.accounts.change(organization.org_id) as change:
        assert not await change.end_password_link(owner.user_id, link.expires_at, link.digest)


@pytest.mark.parametrize("who", ["user", "organization"])
async def test_a_password_link_is_of_use_to_those_in_good_standing(app_ports: AppPorts, who: str) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    link = a_password_link(owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.add_password_link(link)
        if who == "user":
            await change.update_user(owner, replace(owner, state=UserState.SUSPENDED))
        else:
            await change.set_state(OrganizationState.SUSPENDED)
    assert await app_ports.sign_ins.find_link(link.digest, NOW) is None


async def test_sessions_that_expired_are_forgotten(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    sessions = [a_session(owner, expires_at=NOW + timedelta(days=days)) for days in (1, 9)]
    async with app_ports.accounts.change(organization.org_id) as change:
        for session in sessions:
            await change.add_session(session)
    assert await app_ports.sign_ins.forget(NOW + timedelta(days=2)) == 1
    assert [await app_ports.sign_ins.session([each.digest]) is None for each in sessions] == [True, False]


async def test_nobody_knows_a_user_that_never_was(app_ports: AppPorts) -> None:
    with pytest.raises(NotFound):
        await app_ports.sign_ins.organization_of_user(uuid.uuid4())
