"""Tokens for a code and for a refresh token; what an app asks of them, and what a thief meets."""

import asyncio
from typing import Any

import msgspec
import pytest

from libs.common.contracts.apps import IntrospectToken, RevokeToken, TokenShown
from libs.common.ids import new_key
from services.auth.domain.app import AppState, Stage
from services.auth.domain.organization import User, UserState
from services.auth.usecases.end_app import EndApp, EndDeadGrants, OutdateGrantors
from services.auth.usecases.forget_sign_ins import ForgetSignIns
from services.auth.usecases.show_token import EndTokens, IntrospectTokens
from tests.support.auth import digests_of
from tests.support.auth_world import Client, World


async def a_world() -> tuple[World, User, Client]:
    world = World()
    _, owner = await world.owner()
    return world, owner, await world.client(owner)


async def show(world: World, client: Client, token: str) -> TokenShown:
    do = IntrospectTokens(world.tokens, world.clients, world.clock)
    return await do(IntrospectToken(client=client.proof, token=digests_of(token)))


async def test_a_code_gives_tokens_that_work_for_their_time() -> None:
    world, owner, client = await a_world()
    pair = await world.pair(owner, client)
    assert (pair.answer.error, pair.answer.scopes, pair.answer.expires_in_s) == ("", ("read:chat",), 3_600)
    assert await world.works(pair.access)
    assert not await world.works(pair.refresh), "a refresh token opens nothing"
    assert pair.access not in repr(world.accounts.tables)
    world.clock.pass_time(hours=1)
    assert not await world.works(pair.access)


@pytest.mark.parametrize(
    "changed",
    [{"redirect_uri": "https://app.example.com/other"}, {"challenge": "d" * 43}, {"code": b"?" * 32}],
    ids=["another redirect", "another verifier", "no such code"],
)
async def test_a_code_is_bound_to_how_it_was_asked_for(changed: dict[str, Any]) -> None:
    world, owner, client = await a_world()
    code, _ = await world.allow(owner, client)
    assert (await world.exchange(client, **({"code": code} | changed))).answer.error == "invalid_grant"
    assert (await world.exchange(client, code)).answer.error == "", "a wrong question uses nothing up"


async def test_a_code_lives_for_a_minute() -> None:
    world, owner, client = await a_world()
    code, _ = await world.allow(owner, client)
    world.clock.pass_time(seconds=60)
    assert (await world.exchange(client, code)).answer.error == "invalid_grant"


async def test_a_code_is_of_no_use_to_another_client_and_stays_whole() -> None:
    world, owner, client = await a_world()
    other = await world.client(owner)
    code, _ = await world.allow(owner, client)
    assert (await world.exchange(other, code)).answer.error == "invalid_grant"
    assert (await world.exchange(Client(client.app, new_key("fgs_")), code)).answer.error == "invalid_client"
    assert (await world.exchange(client, code)).answer.error == ""


async def test_the_second_use_of_a_code_ends_the_grant_and_the_system_says_why() -> None:
    world, owner, client = await a_world()
    code, authorized = await world.allow(owner, client)
    pair = await world.exchange(client, code)
    again = await world.exchange(client, code)
    assert again.answer.error == "invalid_grant"
    assert [(each.org_id, each.av) for each in again.answer.moved] == [(owner.org_id, await world.av(owner.org_id))]
    assert not await world.works(pair.access)
    entry = await world.last_entry(owner.org_id)
    assert (entry.action, entry.object_id, entry.by) == ("grant.revoke", authorized.grant_id, "system")
    assert entry.details["reason"] == "its code was used twice"
    third = await world.exchange(client, code)
    assert (third.answer.error, third.answer.moved) == ("invalid_grant", ())


async def test_a_code_used_twice_at_once_gives_tokens_at_most_once() -> None:
    world, owner, client = await a_world()
    code, _ = await world.allow(owner, client)
    pairs = await asyncio.gather(*(world.exchange(client, code) for _ in range(5)))
    assert sorted(pair.answer.error for pair in pairs) == ["", *["invalid_grant"] * 4]


async def test_a_refresh_token_is_exchanged_for_the_next_pair() -> None:
    world, owner, client = await a_world()
    first = await world.pair(owner, client)
    second = await world.refresh(client, first.refresh)
    assert second.answer.error == ""
    assert [await world.works(each.access) for each in (first, second)] == [True, True]
    one, other = await world.holder(first.refresh), await world.holder(second.refresh)
    assert one is not None
    assert other is not None
    assert one.token.family_id == other.token.family_id


async def test_an_answer_that_was_lost_can_be_asked_for_again_for_a_moment() -> None:
    world, owner, client = await a_world()
    first = await world.pair(owner, client)
    await world.refresh(client, first.refresh)
    world.clock.pass_time(seconds=29)
    assert (await world.refresh(client, first.refresh)).answer.error == ""


async def test_a_refresh_token_that_two_have_ends_its_family() -> None:
    world, owner, client = await a_world()
    first = await world.pair(owner, client)
    second = await world.refresh(client, first.refresh)
    elsewhere = await world.pair(owner, client)
    world.clock.pass_time(seconds=30)
    stolen = await world.refresh(client, first.refresh)
    assert (stolen.answer.error, len(stolen.answer.moved)) == ("invalid_grant", 1)
    assert not any([await world.works(each.access) for each in (first, second)])
    assert (await world.refresh(client, second.refresh)).answer.error == "invalid_grant"
    assert await world.works(elsewhere.access), "other families go on"
    entry = await world.last_entry(owner.org_id)
    assert (entry.action, entry.by, entry.details) == ("grant.end_tokens", "system", {"family": True})
    assert (await world.refresh(client, first.refresh)).answer.moved == (), "it has ended: nothing moves again"


async def test_a_refresh_token_lives_for_sixty_days() -> None:
    world, owner, client = await a_world()
    pair = await world.pair(owner, client)
    world.clock.pass_time(days=60)
    assert (await world.refresh(client, pair.refresh)).answer.error == "invalid_grant"


async def test_fewer_scopes_may_be_asked_for_and_do_not_narrow_what_comes_after() -> None:
    world, owner, client = await a_world()
    first = await world.pair(owner, client, scopes=["read:chat", "write:chat"])
    narrow = await world.refresh(client, first.refresh, ["read:chat"])
    assert narrow.answer.scopes == ("read:chat",)
    whole = await world.refresh(client, narrow.refresh)
    assert whole.answer.scopes == ("read:chat", "write:chat")
    for scopes in ([], ["read:chat", "read:fan"], ["everything"]):
        assert (await world.refresh(client, whole.refresh, scopes)).answer.error == "invalid_scope"


@pytest.mark.parametrize("which", ["an access token", "another client's", "nobody's", "a wrong secret"])
async def test_what_is_no_refresh_token_of_the_clients(which: str) -> None:
    world, owner, client = await a_world()
    pair, other = await world.pair(owner, client), await world.client(owner)
    asker, token = {
        "an access token": (client, pair.access),
        "another client's": (other, pair.refresh),
        "nobody's": (client, new_key("fgr_")),
        "a wrong secret": (Client(client.app, other.secret), pair.refresh),
    }[which]
    expected = "invalid_client" if which == "a wrong secret" else "invalid_grant"
    assert (await world.refresh(asker, token)).answer.error == expected
    assert (await world.refresh(client, pair.refresh)).answer.error == ""


async def test_R184_tokens_of_a_user_who_rests_neither_work_nor_renew() -> None:
    world, owner, client = await a_world()
    code, _ = await world.allow(owner, client)
    pair = await world.pair(owner, client)
    async with world.accounts.change(owner.org_id) as change:
        await change.update_user(owner, msgspec.structs.replace(owner, state=UserState.SUSPENDED))
    assert not await world.works(pair.access)
    assert (await world.refresh(client, pair.refresh)).answer.error == "invalid_client"  # its owner is the user
    assert (await world.exchange(client, code)).answer.error == "invalid_client"


async def test_a_confidential_client_is_told_what_its_own_token_is_worth() -> None:
    world, owner, client = await a_world()
    other, public = await world.client(owner), await world.client(owner, is_confidential=False)
    pair = await world.pair(owner, client)
    shown = await show(world, client, pair.access)
    assert (shown.is_active, shown.kind, shown.scopes, shown.user_id) == (True, "access", ("read:chat",), owner.user_id)
    assert (await show(world, client, pair.refresh)).kind == "refresh"
    for asker, token in ((other, pair.access), (client, new_key("fgo_"))):
        assert await show(world, asker, token) == TokenShown()
    assert (await show(world, public, pair.access)).error == "invalid_client"
    world.clock.pass_time(hours=1)
    assert await show(world, client, pair.access) == TokenShown()


async def test_an_access_token_is_given_back_alone_and_a_refresh_token_with_its_family() -> None:
    world, owner, client = await a_world()
    other = await world.client(owner)
    first = await world.pair(owner, client)
    second = await world.refresh(client, first.refresh)
    do = EndTokens(world.accounts, world.tokens, world.clients, world.clock)

    async def give_back(client: Client, token: str) -> int:
        answer = await do(RevokeToken(client=client.proof, token=digests_of(token)))
        assert answer.error == ""
        return len(answer.moved)

    assert await give_back(other, first.access) == 0
    assert await give_back(client, first.access) == 1
    assert await give_back(client, first.access) == 0
    assert [await world.works(each.access) for each in (first, second)] == [False, True]
    assert await give_back(client, second.refresh) == 1
    assert not await world.works(second.access)
    wrong = await do(RevokeToken(client=Client(client.app, "x").proof, token=digests_of(second.access)))
    assert wrong.error == "invalid_client"


@pytest.mark.parametrize("state", [AppState.SUSPENDED, AppState.DELETED])
async def test_R181_R184_an_app_ends_with_all_that_was_granted_to_it(state: AppState) -> None:
    world, owner, client = await a_world()
    pair, elsewhere = await world.pair(owner, client), await world.pair(owner, await world.client(owner))
    do = EndApp(world.accounts, world.apps, world.clock)
    moved = await do(owner.org_id, client.app.app_id, state)
    assert [(each.org_id, each.av) for each in moved] == [(owner.org_id, await world.av(owner.org_id))]
    assert [await world.works(each.access) for each in (pair, elsewhere)] == [False, True]
    entry = await world.last_entry(owner.org_id)
    assert (entry.action, entry.by, entry.details["reason"]) == ("grant.revoke", "system", f"the app was {state}")
    if state is AppState.SUSPENDED:
        assert await do(owner.org_id, client.app.app_id, state) == ()
        assert await do(owner.org_id, client.app.app_id, AppState.ACTIVE) == ()
        assert not await world.works(pair.access), "what ended does not come back: the user is asked anew"


async def test_what_a_crash_left_over_is_ended_later() -> None:
    world, owner, client = await a_world()
    pair = await world.pair(owner, client)
    async with world.accounts.change(owner.org_id) as change:
        await change.update_app(client.app, msgspec.structs.replace(client.app, state=AppState.DELETED))
    do = EndDeadGrants(world.accounts, world.apps, world.clock)
    assert [await do(), await do()] == [1, 0]
    holder = await world.holder(pair.access)
    assert holder is not None
    assert holder.grant.revoked_at == world.clock.now()
    assert (await world.last_entry(owner.org_id)).by == "system"


async def test_R184_who_allowed_something_to_an_app_of_a_user_who_rests_is_read_anew() -> None:
    world, owner, client = await a_world()
    do = OutdateGrantors(world.accounts, world.apps)
    await world.pair(owner, client)
    assert await do(owner.org_id) == (), "the owner's own organization moved already"
    other, granting = await world.owner()
    async with world.accounts.change(owner.org_id) as change:
        published = msgspec.structs.replace(client.app, stage=Stage.PRODUCTION)
        await change.update_app(client.app, published)
    pair = await world.pair(granting, Client(published, client.secret))
    before = await world.av(other.org_id)
    (moved,) = await do(owner.org_id, owner.user_id)
    assert (moved.org_id, moved.av) == (other.org_id, before + 1)
    assert await world.av(other.org_id) == before + 1
    assert await world.works(pair.access), "nothing ends by it"


async def test_what_ended_long_ago_is_forgotten() -> None:
    world, owner, client = await a_world()
    pair = await world.pair(owner, client)
    do = ForgetSignIns(world.tokens, world.accounts, world.clock)
    assert await do() == 0
    world.clock.pass_time(days=365)
    assert await do() > 0
    assert await world.holder(pair.access) is None
