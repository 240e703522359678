"""The proof of a domain by a file below `/.well-known`: a real server by HTTPS, a real authority, the guarded client, the database.

What a test cannot have is a domain whose name leads here: a resolver says so for it, and this machine's port is let through.
"""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from dns.asyncresolver import Resolver

from libs.common.contracts.auth import APPS
from libs.common.http.guarded import GuardedClient
from services.auth.domain.app import App, Domain, Method
from services.auth.domain.errors import Conflict
from services.auth.gateways.domains import BODY_BYTES_MAX, NetworkDomainProofs
from services.auth.store.apps import PostgresApps
from services.auth.store.postgres import PostgresAccounts
from services.auth.usecases.verify_domain import VerifyDomain
from tests.support.auth import NOW, StandingClock, an_organization
from tests.support.auth_apps import an_app_of
from tests.support.authority import Authority

DOMAIN = "agency.example.com"
PATH = "/.well-known/fangate-domain-verification"


@dataclass
class Site:
    """What stands at the domain; `asked` are the paths that somebody wanted."""

    port: int = 0
    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(f"{request.headers['Host']} {request.path}")
        return web.Response(status=self.status, text=self.body, headers=self.headers)


class LeadsHere(AbstractResolver):
    """Every name is the site's."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._site.port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        return


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.answer))
    await runner.setup()
    try:
        listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await listening.start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


@dataclass
class World:
    """An app that wants to show that a domain is its owner's."""

    accounts: PostgresAccounts
    apps: PostgresApps
    app: App

    async def verify(self, site: Site, authorities: ssl.SSLContext | None, *, is_let_through: bool = True) -> Domain:
        http = await GuardedClient.open(
            user_agent="test", resolver=LeadsHere(site), authorities=authorities,
            allowed=[("127.0.0.1", site.port)] if is_let_through else [],
        )  # fmt: skip
        try:
            do = VerifyDomain(self.accounts, NetworkDomainProofs(http, Resolver(configure=False)), StandingClock(NOW))
            return await do(self.app.org_id, self.app.app_id, domain=DOMAIN, method="well_known")
        finally:
            await http.close()

    async def named(self) -> Domain:
        """The domain as it is kept; it is named by the first look for it."""
        (domain,) = (await self.apps.app(self.app.org_id, self.app.app_id)).domains
        return domain

    async def token(self) -> str:
        """What is to stand at the domain."""
        do = VerifyDomain(self.accounts, None, StandingClock(NOW))  # type: ignore[arg-type]  # nothing is looked for
        return (await do(self.app.org_id, self.app.app_id, domain=DOMAIN, method=None)).token


@pytest.fixture
async def world(accounts: PostgresAccounts, db: Any) -> World:
    organization = await an_organization(accounts, features=frozenset({APPS}))
    async with accounts.change(organization.org_id) as change:
        (owner,) = await change.owners()
        app = an_app_of(owner)
        await change.add_app(app)
    return World(accounts, PostgresApps(db), app)


@pytest.mark.parametrize("around", ["{}", "{}\n", "  {}\r\n"])
async def test_R150_the_file_at_the_domain_proves_it(world: World, authority: Authority, around: str) -> None:
    async with serving(authority.server(DOMAIN)) as site:
        site.body = around.format(await world.token())
        verified = await world.verify(site, authority.clients)
    assert (verified.method, verified.verified_at) == (Method.WELL_KNOWN, NOW)
    assert await world.named() == verified
    assert site.asked == [f"{DOMAIN} {PATH}"]
    (entry,) = await world.accounts.audit_page(world.app.org_id, limit=1, before=None)
    assert (entry.action, entry.details) == ("app.verify_domain", {"domain": DOMAIN, "method": "well_known"})


async def test_what_was_proved_is_not_looked_for_again(world: World, authority: Authority) -> None:
    async with serving(authority.server(DOMAIN)) as site:
        site.body = await world.token()
        first = await world.verify(site, authority.clients)
        site.body, site.asked = "gone", []
        assert await world.verify(site, authority.clients) == first
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "another", {}),
        (200, "", {}),
        (200, "{token}x", {}),
        (200, "<html>{token}</html>", {}),
        (200, " " * BODY_BYTES_MAX + "{token}", {}),
        (404, "{token}", {}),
        (500, "{token}", {}),
        (302, "{token}", {"Location": f"https://{DOMAIN}/elsewhere"}),
    ],
    ids=["another", "empty", "longer", "a page", "too far down", "404", "500", "a redirect"],
)
async def test_what_is_no_proof(
    world: World, authority: Authority, status: int, body: str, headers: dict[str, str]
) -> None:
    async with serving(authority.server(DOMAIN)) as site:
        site.status, site.body, site.headers = status, body.format(token=await world.token()), headers
        with pytest.raises(Conflict):
            await world.verify(site, authority.clients)
    assert site.asked == [f"{DOMAIN} {PATH}"]
    assert (await world.named()).verified_at is None


@pytest.mark.parametrize("served", ["another's name", "an unknown authority", "plain http"])
async def test_whoever_cannot_show_that_they_are_the_domain_proves_nothing(
    world: World, authority: Authority, tmp_path: Path, served: str
) -> None:
    tls = {
        "another's name": authority.server("elsewhere.example.com"),
        "an unknown authority": Authority(tmp_path).server(DOMAIN),
        "plain http": None,
    }[served]
    async with serving(tls) as site:
        site.body = await world.token()
        with pytest.raises(Conflict, match="cannot be read"):
            await world.verify(site, authority.clients)
    assert site.asked == []
    assert (await world.named()).verified_at is None


async def test_a_test_authority_is_believed_by_nobody_who_was_not_told_to(world: World, authority: Authority) -> None:
    async with serving(authority.server(DOMAIN)) as site:
        site.body = await world.token()
        with pytest.raises(Conflict, match="cannot be read"):
            await world.verify(site, None)
    assert site.asked == []


async def test_a_domain_that_leads_into_a_private_network_is_not_asked(world: World, authority: Authority) -> None:
    async with serving(authority.server(DOMAIN)) as site:
        site.body = await world.token()
        with pytest.raises(Conflict, match="cannot be read"):
            await world.verify(site, authority.clients, is_let_through=False)
    assert site.asked == []
    assert (await world.named()).verified_at is None
