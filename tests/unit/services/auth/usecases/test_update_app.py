"""An app changes; its domains are proved."""

from typing import Any

import pytest

from services.auth.domain.app import DOMAINS_MAX, AppState, Domain, Method, Stage
from services.auth.domain.errors import Conflict, InvalidRequest, NotFound
from services.auth.usecases.end_app import EndApp
from services.auth.usecases.update_app import UpdateApp
from services.auth.usecases.verify_domain import VerifyDomain
from tests.support.auth_world import Client, World


async def update(world: World, client: Client, **changed: Any) -> None:
    await UpdateApp(world.accounts)(client.app.org_id, client.app.app_id, **changed)


async def verify(world: World, client: Client, domain: str = "example.com", method: str | None = "dns") -> Domain:
    do = VerifyDomain(world.accounts, world.proofs, world.clock)
    return await do(client.app.org_id, client.app.app_id, domain=domain, method=method)


async def proved(world: World, client: Client, domain: str = "example.com") -> None:
    named = await verify(world, client, domain, method=None)
    world.proofs.records[f"_fangate.{domain}"] = ["other", f"fangate-domain-verification={named.token}"]
    await verify(world, client, domain)


async def a_client() -> tuple[World, Client]:
    world = World()
    _, owner = await world.owner()
    return world, await world.client(owner)


async def test_what_is_not_given_stays() -> None:
    world, client = await a_client()
    await update(world, client, name="Other")
    shown = (await world.apps.app(client.app.org_id, client.app.app_id)).app
    assert (shown.name, shown.redirect_uris, shown.stage) == ("Other", client.app.redirect_uris, Stage.DEVELOPMENT)
    assert (await world.last_entry(client.app.org_id)).details == {"name": {"from": "Chat Helper", "to": "Other"}}


async def test_what_changes_nothing_is_not_in_the_log() -> None:
    world, client = await a_client()
    before = await world.last_entry(client.app.org_id)
    await update(world, client, name=client.app.name, stage="development")
    assert await world.last_entry(client.app.org_id) == before


async def test_R150_production_wants_every_host_under_a_proved_domain_and_has_no_way_back() -> None:
    world, client = await a_client()
    with pytest.raises(Conflict, match=r"app\.example\.com"):
        await update(world, client, stage="production")
    await proved(world, client)
    await update(world, client, stage="production")
    for changed in (
        {"redirect_uris": ["https://elsewhere.example/"]},
        {"redirect_uris": ["https://evilexample.com/"]},
        {"webhook_urls": ["https://hooks.example/x"]},
        {"stage": "development"},
    ):
        with pytest.raises(Conflict):
            await update(world, client, **changed)
    await update(world, client, webhook_urls=["https://example.com/hooks"])


async def test_loopback_is_for_development_only() -> None:
    world, client = await a_client()
    await update(world, client, redirect_uris=["http://127.0.0.1/callback"])
    with pytest.raises(InvalidRequest, match="loopback"):
        await update(world, client, stage="production")


@pytest.mark.parametrize("changed", [{"name": ""}, {"redirect_uris": []}, {"stage": "live"}], ids=str)
async def test_what_may_not_be_is_refused(changed: dict[str, Any]) -> None:
    world, client = await a_client()
    with pytest.raises(InvalidRequest):
        await update(world, client, **changed)


async def test_a_suspended_app_does_not_change_and_a_deleted_one_is_gone() -> None:
    world, client = await a_client()
    end = EndApp(world.accounts, world.apps, world.clock)
    for state, error in ((AppState.SUSPENDED, Conflict), (AppState.DELETED, NotFound)):
        await end(client.app.org_id, client.app.app_id, state)
        with pytest.raises(error):
            await update(world, client, name="Other")


async def test_a_domain_keeps_its_token_until_it_is_proved_and_after() -> None:
    world, client = await a_client()
    named = await verify(world, client, " Example.COM. ", method=None)
    assert (named.domain, named.verified_at) == ("example.com", None)
    assert (await verify(world, client, method=None)).token == named.token
    await proved(world, client)
    again = await verify(world, client, method="well_known")  # looks for nothing any more
    assert (again.method, again.token, again.verified_at) == (Method.DNS, named.token, world.clock.now())


async def test_a_record_that_is_missing_or_another_proves_nothing() -> None:
    world, client = await a_client()
    with pytest.raises(Conflict):
        await verify(world, client)
    token = (await verify(world, client, method=None)).token
    for texts in ([], ["fangate-domain-verification="], [token], [f"x fangate-domain-verification={token}"]):
        world.proofs.records["_fangate.example.com"] = texts
        with pytest.raises(Conflict):
            await verify(world, client)
    assert (await verify(world, client, method=None)).verified_at is None


async def test_R150_a_file_proves_a_domain() -> None:
    world, client = await a_client()
    named = await verify(world, client, method=None)
    world.proofs.files["example.com"] = f"\n{named.token}x\n"
    with pytest.raises(Conflict):
        await verify(world, client, method="well_known")
    world.proofs.files["example.com"] = f"\n{named.token}\n"
    assert (await verify(world, client, method="well_known")).method is Method.WELL_KNOWN


@pytest.mark.parametrize("domain", ["com", "co.uk", "192.0.2.1", "not a domain", ""])
async def test_a_domain_is_one_that_somebody_can_own(domain: str) -> None:
    world, client = await a_client()
    with pytest.raises(InvalidRequest):
        await verify(world, client, domain, method=None)
    with pytest.raises(InvalidRequest, match="method"):
        await verify(world, client, method="mail")


async def test_an_app_has_so_many_domains() -> None:
    world, client = await a_client()
    for number in range(DOMAINS_MAX):
        await verify(world, client, f"d{number}.example.com", method=None)
    with pytest.raises(Conflict, match=str(DOMAINS_MAX)):
        await verify(world, client, method=None)
    await verify(world, client, "d0.example.com", method=None)
