"""The ports `Tokens` and `TokenTurn`, by the double and by Postgres."""

import asyncio
from datetime import timedelta

import pytest

from services.auth.domain.grant import Grant, TokenKind, grant_stands
from services.auth.domain.organization import User
from tests.contract.auth.conftest import AppPorts
from tests.support.auth import NOW
from tests.support.auth_apps import a_code, a_digest, a_given_grant, a_registered_app, a_token, an_owner


async def given(app_ports: AppPorts) -> tuple[User, Grant]:
    _, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    return owner, await a_given_grant(app_ports.accounts, app, owner)


async def test_a_token_is_found_by_any_of_its_digests_with_all_that_it_speaks_for(app_ports: AppPorts) -> None:
    owner, grant = await given(app_ports)
    token = a_token(grant, TokenKind.ACCESS)
    async with app_ports.tokens.turn(grant.grant_id) as turn:
        await turn.add(token)
        inside = await turn.holder([token.digest])
    assert inside == await app_ports.tokens.find([a_digest(), token.digest])
    assert inside is not None
    assert (inside.token, inside.grant, inside.organization.org_id) == (token, grant, owner.org_id)
    assert (inside.role.role_id, inside.user_state, inside.client.app.app_id) == (
        owner.role_id,
        owner.state,
        grant.app_id,
    )
    assert grant_stands(inside)
    assert await app_ports.tokens.find([a_digest()]) is None
    holder = await app_ports.holders.find_token([token.digest])
    assert holder == inside


async def test_a_code_is_found_by_its_digest_and_used_once(app_ports: AppPorts) -> None:
    _, grant = await given(app_ports)
    code = a_code(grant)
    async with app_ports.accounts.change(grant.org_id) as change:
        await change.add_code(code)
    before = (await app_ports.accounts.organization(grant.org_id)).av
    assert await app_ports.tokens.find_code(code.digest) == code
    assert await app_ports.tokens.find_code(a_digest()) is None
    for at in (NOW, NOW + timedelta(seconds=5)):
        async with app_ports.tokens.turn(grant.grant_id) as turn:
            found = await turn.code(code.digest)
            assert found is not None
            await turn.use_code(found, at)
            assert await turn.grant(grant.grant_id) == grant
    kept = await app_ports.tokens.find_code(code.digest)
    assert kept is not None
    assert kept.used_at == NOW
    assert (await app_ports.accounts.organization(grant.org_id)).av == before, "codes move nobody's rights"


async def test_a_turn_that_raises_leaves_nothing(app_ports: AppPorts) -> None:
    _, grant = await given(app_ports)
    token = a_token(grant)
    with pytest.raises(ZeroDivisionError):
        async with app_ports.tokens.turn(grant.grant_id) as turn:
            await turn.add(token)
            assert await turn.holder([token.digest]) is not None
            raise ZeroDivisionError
    assert await app_ports.tokens.find([token.digest]) is None


async def test_a_refresh_token_has_one_successor(app_ports: AppPorts) -> None:
    _, grant = await given(app_ports)
    first = a_token(grant)
    second, access = (
        a_token(grant, family_id=first.family_id),
        a_token(grant, TokenKind.ACCESS, family_id=first.family_id),
    )
    async with app_ports.tokens.turn(grant.grant_id) as turn:
        await turn.add(first)
        await turn.add(access)
        await turn.replace_refresh(first.family_id, NOW)
        await turn.add(second)
        await turn.replace_refresh(first.family_id, NOW + timedelta(hours=1))
    found = [await app_ports.tokens.find([each.digest]) for each in (first, second, access)]
    assert [each and each.token.replaced_at for each in found] == [NOW, NOW + timedelta(hours=1), None]


async def test_turns_on_one_grant_follow_one_another(app_ports: AppPorts) -> None:
    _, grant = await given(app_ports)
    code = a_code(grant)
    async with app_ports.accounts.change(grant.org_id) as change:
        await change.add_code(code)

    async def use() -> bool:
        async with app_ports.tokens.turn(grant.grant_id) as turn:
            found = await turn.code(code.digest)
            assert found is not None
            if found.used_at is not None:
                return False
            await asyncio.sleep(0)
            await turn.use_code(found, NOW)
            return True

    assert sorted(await asyncio.gather(*(use() for _ in range(4)))) == [False, False, False, True]


async def test_what_expired_is_forgotten(app_ports: AppPorts) -> None:
    _, grant = await given(app_ports)
    old, new = a_code(grant), a_code(grant, expires_at=NOW + timedelta(days=9))
    tokens = [a_token(grant, expires_at=NOW + timedelta(days=1)), a_token(grant, expires_at=NOW + timedelta(days=9))]
    async with app_ports.accounts.change(grant.org_id) as change:
        for code in (old, new):
            await change.add_code(code)
    async with app_ports.tokens.turn(grant.grant_id) as turn:
        for token in tokens:
            await turn.add(token)
    assert await app_ports.tokens.forget(NOW + timedelta(days=2), NOW + timedelta(days=3)) == 2
    assert [await app_ports.tokens.find_code(each.digest) is None for each in (old, new)] == [True, False]
    assert [await app_ports.tokens.find([each.digest]) is None for each in tokens] == [True, False]
    assert await app_ports.tokens.forget(NOW + timedelta(days=2), NOW + timedelta(days=3)) == 0
