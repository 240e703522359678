"""The ports `AppChange` and `AppsRead`, by the double and by Postgres."""

import uuid
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.auth import Actor
from services.auth.domain.app import AppState, Domain, Method, Stage
from services.auth.domain.errors import Conflict, NotFound, OrganizationDeleted
from services.auth.domain.grant import TokenKind
from services.auth.domain.organization import OrganizationState, UserState
from tests.contract.auth.conftest import AppPorts
from tests.support.auth import NOW
from tests.support.auth_apps import (
    a_given_grant,
    a_grant,
    a_registered_app,
    a_secret,
    a_token,
    an_app_of,
    an_owner,
)

replace = msgspec.structs.replace


async def test_an_app_is_found_by_its_organization_and_by_its_client_id(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    other, _ = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner, webhook_urls=("https://app.example.com/hooks",))
    listed = await app_ports.apps.app(organization.org_id, app.app_id)
    assert (listed.app, listed.domains, listed.secrets) == (app, (), ())
    assert await app_ports.apps.organization_of_app(app.app_id) == organization.org_id
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert (client.app, client.owner, client.domains) == (app, "Example", ())
    assert client.may_act
    for absent in (app_ports.apps.app(other.org_id, app.app_id), app_ports.apps.organization_of_app(uuid.uuid4())):
        with pytest.raises(NotFound):
            await absent
    assert await app_ports.apps.client(uuid.uuid4()) is None
    async with app_ports.accounts.change(other.org_id) as change:
        with pytest.raises(NotFound):
            await change.app(app.app_id)


async def test_registering_moves_no_rights_and_is_in_the_log(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = an_app_of(owner)
    async with app_ports.accounts.change(owner.org_id, Actor(user_id=owner.user_id, address="192.0.2.1")) as change:
        await change.add_app(app)
        await change.add_secret(app.app_id, a_secret())
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av
    log = await app_ports.accounts.audit_page(organization.org_id, limit=2, before=None)
    assert [(each.action, each.object_id, each.by, each.user_id) for each in log] == [
        ("app.rotate_secret", app.app_id, "user", owner.user_id), ("app.create", app.app_id, "user", owner.user_id),
    ]  # fmt: skip


async def test_what_raises_leaves_nothing(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    with pytest.raises(ZeroDivisionError):
        async with app_ports.accounts.change(owner.org_id) as change:
            await change.add_app(an_app_of(owner))
            raise ZeroDivisionError
    assert await app_ports.apps.page(organization.org_id, limit=10, offset=0) == ([], 0)


async def test_a_deleted_app_is_shown_by_name_only_and_counts_no_more(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    apps = [await a_registered_app(app_ports.accounts, owner, created_at=NOW + timedelta(seconds=n)) for n in range(3)]
    async with app_ports.accounts.change(owner.org_id) as change:
        assert await change.count_apps(owner.user_id) == 3
        await change.update_app(apps[1], replace(apps[1], state=AppState.DELETED))
        assert await change.count_apps(owner.user_id) == 2
        with pytest.raises(NotFound):
            await change.app(apps[1].app_id)
    listed, total = await app_ports.apps.page(organization.org_id, limit=1, offset=1)
    assert ([each.app.app_id for each in listed], total) == ([apps[2].app_id], 2)
    assert (await app_ports.apps.app(organization.org_id, apps[1].app_id)).app.state is AppState.DELETED
    behind = await app_ports.apps.apps_behind(organization.org_id, owner.user_id)
    assert set(behind) == {apps[0].app_id, apps[2].app_id}
    assert await app_ports.apps.apps_behind(organization.org_id, uuid.uuid4()) == []
    (entry,) = await app_ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.details) == ("app.delete", {"name": "Chat Helper"})


async def test_what_may_change_about_an_app_changes(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    new = replace(
        app, name="Other", stage=Stage.PRODUCTION, redirect_uris=("https://b.example.com/",),
        webhook_urls=("https://b.example.com/h",), state=AppState.SUSPENDED,
    )  # fmt: skip
    async with app_ports.accounts.change(owner.org_id) as change:
        await change.update_app(app, new)
    assert (await app_ports.apps.app(organization.org_id, app.app_id)).app == new
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert not client.may_act


@pytest.mark.parametrize("who", ["owner", "organization"])
async def test_a_client_shows_the_state_of_those_behind_it(app_ports: AppPorts, who: str) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        if who == "owner":
            await change.update_user(owner, replace(owner, state=UserState.SUSPENDED))
        else:
            await change.set_state(OrganizationState.SUSPENDED)
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert not client.may_act


async def test_a_domain_is_named_once_and_its_first_proof_stands(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    domain = Domain(domain="example.com", token="t", created_at=NOW)
    async with app_ports.accounts.change(owner.org_id) as change:
        await change.add_domain(app.app_id, replace(domain, domain="z.example"))
        await change.add_domain(app.app_id, domain)
    with pytest.raises(Conflict):
        async with app_ports.accounts.change(owner.org_id) as change:
            await change.add_domain(app.app_id, domain)
    for method, at in ((Method.WELL_KNOWN, NOW), (Method.DNS, NOW + timedelta(days=1))):
        async with app_ports.accounts.change(owner.org_id) as change:
            await change.verify_domain(app.app_id, "example.com", method, at)
            assert [each.domain for each in await change.domains(app.app_id)] == ["example.com", "z.example"]
    proved = (await app_ports.apps.app(organization.org_id, app.app_id)).domains[0]
    assert (proved.method, proved.verified_at, proved.token) == (Method.WELL_KNOWN, NOW, "t")
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert client.domains == ("example.com",)


async def test_secrets_are_listed_oldest_first_and_an_earlier_end_stands(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    new, old = a_secret(created_at=NOW), a_secret(created_at=NOW - timedelta(days=1))
    async with app_ports.accounts.change(owner.org_id) as change:
        for secret in (new, old):
            await change.add_secret(app.app_id, secret)
        await change.end_secret(old, NOW + timedelta(hours=1))
        await change.end_secret(old, NOW + timedelta(hours=2))
        kept = await change.secrets(app.app_id)
    assert kept == [replace(old, expires_at=NOW + timedelta(hours=1)), new]
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert list(client.secrets) == kept
    assert list((await app_ports.apps.app(organization.org_id, app.app_id)).secrets) == kept


async def test_a_secret_moves_to_another_pepper_once(app_ports: AppPorts) -> None:
    _, owner = await an_owner(app_ports.accounts)
    app, secret = await a_registered_app(app_ports.accounts, owner), a_secret(pepper="a")
    async with app_ports.accounts.change(owner.org_id) as change:
        await change.add_secret(app.app_id, secret)
    await app_ports.apps.rewrite_secret(secret, pepper="b", digest="1" * 64)
    await app_ports.apps.rewrite_secret(secret, pepper="c", digest="2" * 64)  # somebody did it already
    client = await app_ports.apps.client(app.app_id)
    assert client is not None
    assert [(each.pepper, each.digest) for each in client.secrets] == [("b", "1" * 64)]


async def test_one_grant_stands_for_app_user_and_model(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    grant = await a_given_grant(app_ports.accounts, app, owner)
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av + 1
    elsewhere = await a_given_grant(app_ports.accounts, app, owner)
    async with app_ports.accounts.change(organization.org_id) as change:
        assert await change.live_grant(app.app_id, owner.user_id, grant.model_id) == grant
        assert await change.live_grant(app.app_id, owner.user_id, uuid.uuid4()) is None
        assert {each.grant_id for each in await change.grants_of_app(app.app_id)} == {
            grant.grant_id,
            elsewhere.grant_id,
        }
        await change.revoke_grant(grant, NOW)
        assert await change.live_grant(app.app_id, owner.user_id, grant.model_id) is None
        assert await change.grants_of_app(app.app_id) == [elsewhere]
    await a_given_grant(app_ports.accounts, app, owner, model_id=grant.model_id)


async def test_a_grant_is_its_organizations(app_ports: AppPorts) -> None:
    _, owner = await an_owner(app_ports.accounts)
    other, _ = await an_owner(app_ports.accounts)
    grant = await a_given_grant(app_ports.accounts, await a_registered_app(app_ports.accounts, owner), owner)
    async with app_ports.accounts.change(other.org_id) as change:
        with pytest.raises(NotFound):
            await change.grant(grant.grant_id)
    with pytest.raises(NotFound):
        await app_ports.apps.grant(other.org_id, grant.grant_id)
    listed = await app_ports.apps.grant(owner.org_id, grant.grant_id)
    assert (listed.grant, listed.app, listed.owner, listed.email) == (grant, "Chat Helper", "Example", owner.email)


async def test_revoking_ends_all_tokens_and_the_first_date_stands(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    grant, other = [await a_given_grant(app_ports.accounts, app, owner) for _ in range(2)]
    tokens = [a_token(grant), a_token(grant, TokenKind.ACCESS), a_token(other)]
    for token in tokens:
        async with app_ports.tokens.turn(token.grant_id) as turn:
            await turn.add(token)
    before = (await app_ports.accounts.organization(organization.org_id)).av
    for at in (NOW, NOW + timedelta(days=1)):
        async with app_ports.accounts.change(organization.org_id) as change:
            await change.revoke_grant(grant, at, reason="a reason")
    assert (await app_ports.accounts.organization(organization.org_id)).av == before + 2
    found = [await app_ports.tokens.find([token.digest]) for token in tokens]
    assert [each and each.token.ended_at for each in found] == [NOW, NOW, None]
    assert [each and each.grant.revoked_at for each in found] == [NOW, NOW, None]
    (entry,) = await app_ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.details["reason"]) == ("grant.revoke", "a reason")


async def test_tokens_end_alone_or_by_family_and_once(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    grant = await a_given_grant(app_ports.accounts, await a_registered_app(app_ports.accounts, owner), owner)
    refresh = a_token(grant)
    access = a_token(grant, TokenKind.ACCESS, family_id=refresh.family_id)
    async with app_ports.tokens.turn(grant.grant_id) as turn:
        for token in (refresh, access):
            await turn.add(token)
    moved = []
    for only in (access.token_id, access.token_id, None, None):
        before = (await app_ports.accounts.organization(organization.org_id)).av
        async with app_ports.accounts.change(organization.org_id) as change:
            ended = await change.end_tokens(grant.grant_id, refresh.family_id, only, NOW)
        moved.append((ended, (await app_ports.accounts.organization(organization.org_id)).av - before))
    assert moved == [(True, 1), (False, 0), (True, 1), (False, 0)]


async def test_pages_of_grants(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    grants = [
        await a_given_grant(app_ports.accounts, app, owner, created_at=NOW + timedelta(seconds=n)) for n in range(3)
    ]
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.revoke_grant(grants[2], NOW + timedelta(days=1))

    async def page(**wanted: object) -> tuple[list[int], int]:
        asked = {"limit": 10, "offset": 0, "user_id": None, "is_live": False} | wanted
        listed, total = await app_ports.apps.grant_page(organization.org_id, **asked)  # type: ignore[arg-type]
        return [[each.grant_id for each in grants].index(one.grant.grant_id) for one in listed], total

    assert await page() == ([2, 1, 0], 3)
    assert await page(is_live=True) == ([1, 0], 2)
    assert await page(limit=1, offset=1) == ([1], 3)
    assert await page(user_id=owner.user_id) == ([2, 1, 0], 3)
    assert await page(user_id=uuid.uuid4()) == ([], 0)
    assert await app_ports.apps.organizations_granting(app.app_id) == [organization.org_id]


async def test_grants_that_outlived_their_app_are_found_until_they_end(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    gone, stays = [await a_registered_app(app_ports.accounts, owner) for _ in range(2)]
    dead = await a_given_grant(app_ports.accounts, gone, owner)
    await a_given_grant(app_ports.accounts, stays, owner)
    assert await app_ports.apps.dead_grants() == []
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.update_app(gone, replace(gone, state=AppState.DELETED))
    assert await app_ports.apps.dead_grants() == [(organization.org_id, dead.grant_id)]
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.revoke_grant(a_grant(gone, owner, grant_id=dead.grant_id), NOW)
    assert await app_ports.apps.dead_grants() == []


async def test_touching_raises_the_version_and_says_so(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    before = len(await app_ports.events())
    async with app_ports.accounts.change(organization.org_id) as change:
        change.touch()
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av + 1
    assert len(await app_ports.events()) == before + 1


async def test_a_deleted_organization_changes_no_more(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.set_state(OrganizationState.DELETED)
    with pytest.raises(OrganizationDeleted):
        async with app_ports.accounts.change(organization.org_id):
            pass
