"""One suite for the registries of other tests and RDAP on a real server; and names, by the system's resolver."""

import ipaddress
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from libs.common.http.guarded import GuardedClient
from services.takedowns.domain.host import Responsible
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.domain.notice_ports import Names, Registries
from services.takedowns.gateways.names import SystemNames
from services.takedowns.gateways.rdap import Rdap
from services.takedowns.gateways.rdap_bootstrap import Bootstrap
from tests.support import under_way
from tests.support.clock import FakeClock
from tests.support.rdap import card, domain_answer, entity, network_answer
from tests.support.site import a_site

DOMAIN, ADDRESS = "example.com", ipaddress.ip_address("203.0.113.7")
REGISTRAR = Responsible(name="R", abuse_email="abuse@r.example")
HOLDER = Responsible(name="H", abuse_email="abuse@h.example")
SECONDS = 120


@dataclass
class Office:
    """`know`: from now on they know the domain and the address; `be_busy`: until then they want to be left alone."""

    registries: Registries
    know: Callable[[], None]
    be_busy: Callable[[], None]


@pytest.fixture
def double() -> Office:
    registries = under_way.Registries()

    def know() -> None:
        registries.found_registrar, registries.found_holder, registries.trouble = REGISTRAR, HOLDER, None

    def be_busy() -> None:
        registries.trouble = RegistryTrouble("busy", seconds=SECONDS)

    return Office(registries, know, be_busy)


@pytest.fixture
async def rdap() -> AsyncIterator[Office]:
    clock, known = FakeClock(), {
        f"/domain/{DOMAIN}": domain_answer(entity("registrar", card("R"), entity("abuse", card("", "abuse@r.example")))),
        f"/ip/{ADDRESS}": network_answer(entity("registrant", card("H"), entity("abuse", card("", "abuse@h.example")))),
    }  # fmt: skip
    async with a_site() as site:
        http = await GuardedClient.open(user_agent="fangate-test", allowed=[site.address])
        bootstrap = Bootstrap.shipped(clock)
        bootstrap.domains["com"] = f"{site.url}/"
        bootstrap.networks["ipv4"].append((ipaddress.ip_network("203.0.113.0/24"), f"{site.url}/"))

        def know() -> None:
            clock.advance(seconds=SECONDS)
            site.pages |= {path: json.dumps(answer) for path, answer in known.items()}

        def be_busy() -> None:
            site.missing = lambda _: web.Response(status=429, headers={"Retry-After": str(SECONDS)})

        yield Office(Rdap(http, bootstrap, clock), know, be_busy)
        await http.close()


@pytest.fixture(params=["double", "rdap"])
def office(request: pytest.FixtureRequest) -> Office:
    found: Office = request.getfixturevalue(request.param)
    return found


async def test_who_is_responsible_is_told(office: Office) -> None:
    office.know()
    assert await office.registries.registrar(DOMAIN) == REGISTRAR
    assert await office.registries.holder(ADDRESS) == HOLDER


async def test_where_nobody_can_say_it_is_nobody(office: Office) -> None:
    assert await office.registries.registrar(DOMAIN) == Responsible()
    assert await office.registries.registrar("no-registry.ru") == Responsible()
    assert await office.registries.holder(ADDRESS) == Responsible()
    assert await office.registries.holder(ipaddress.ip_address("240.0.0.1")) == Responsible()


async def test_a_registry_in_trouble_says_for_how_long_and_answers_afterwards(office: Office) -> None:
    office.be_busy()
    for _ in range(2):
        with pytest.raises(RegistryTrouble) as trouble:
            await office.registries.registrar(DOMAIN)
        assert 0 < trouble.value.seconds <= SECONDS + 1
    with pytest.raises(RegistryTrouble):
        await office.registries.holder(ADDRESS)
    office.know()
    assert await office.registries.registrar(DOMAIN) == REGISTRAR
    assert await office.registries.holder(ADDRESS) == HOLDER


@pytest.mark.parametrize("names", [under_way.Names(), SystemNames()])
async def test_a_host_that_is_an_address_has_that(names: Names) -> None:
    assert list(await names.addresses("93.184.216.34")) == [ipaddress.ip_address("93.184.216.34")]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%1", "::ffff:10.0.0.1"]
)
async def test_an_address_that_is_nobodys_to_write_to_is_none(host: str) -> None:
    assert list(await SystemNames().addresses(host)) == []


@pytest.mark.parametrize(
    "host", ["", "leaks..example", f"{'a' * 64}.example", "leaks.invalid", "256.256.256.256", "a\0b"]
)
async def test_a_host_that_is_none_has_no_address(host: str) -> None:
    assert list(await SystemNames().addresses(host)) == []
