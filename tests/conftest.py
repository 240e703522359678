"""Fixtures every kind of test may ask for. Servers are started by the first test that needs them, once per pytest run."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer

from deploy.local import ports
from deploy.local.profile import RUN
from tests.support.container_stack import described_stack
from tests.support.neighbours import BySystem, Neighbours, check_users_of_the_system, has_neighbours
from tests.support.servers import (
    OwnRedis,
    Servers,
    TestBroker,
    TestDatabase,
    a_broker,
    a_database,
    a_redis_index,
    running_servers,
)
from tests.support.stack import Organization, Stack, running_stack
from tests.support.txt_server import txt_server


def pytest_configure(config: pytest.Config) -> None:
    # Ended from outside (`kill`, a CI's time limit), a run takes down what it started, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # How long an example takes depends on the neighbours: no test judges it.
    hypothesis.settings.register_profile(
        "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("house")
    if has_neighbours():
        config.pluginmanager.register(Neighbours())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    check_users_of_the_system(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySystem:
    """`-n 2`: how tests are dealt out to processes."""
    return BySystem(config, log)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    """The three servers of this run."""
    with running_servers() as started:
        reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"\nservers: {started.origin}")
        yield started


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[TestDatabase]:
    """A migrated database of this test's own."""
    async with a_database(servers) as own:
        yield own


@pytest.fixture
async def broker(servers: Servers) -> AsyncIterator[TestBroker]:
    """A virtual host of this test's own with the whole topology."""
    async with a_broker(servers) as own:
        yield own


@pytest.fixture
async def redis_url(servers: Servers) -> AsyncIterator[str]:
    """An empty Redis database index of this test's own."""
    async with a_redis_index(servers) as url:
        yield url


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[OwnRedis]]]:
    """`await redis_server()` starts a whole Redis for this test, to be flushed, stopped, paused or killed."""
    started: list[OwnRedis] = []

    async def start() -> OwnRedis:
        (port,) = ports.pick(1)
        own = OwnRedis(tmp_path / f"redis-{len(started)}", port)
        started.append(own)
        await own.start()
        return own

    yield start
    for own in started:
        await own.kill()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, started once per run in a folder of its own; or one in containers that the environment tells of."""
    in_containers = described_stack()
    if in_containers is not None:
        yield in_containers
        return
    (receiver,) = ports.pick(1)  # where a test may receive webhooks, one at a time
    local = f"127.0.0.1:{receiver}"
    with (
        txt_server() as names,
        running_stack(
            RUN / f"stack-{os.getpid()}", FANGATE_WEBHOOK_LOCAL_RECEIVERS=local, FANGATE_DNS_SERVERS=names.address
        ) as started,
    ):
        started.names = names
        yield started


_of_this_run: dict[str, Organization] = {}


@pytest.fixture
async def organization(stack: Stack) -> Organization:
    """A tenant that tests share: it may be called and charged, but not emptied, suspended or re-keyed.

    Its balance is large beside a lease: when a test flushes Redis, the next lease finds free credits at once.
    """
    if stack.url not in _of_this_run:
        _of_this_run[stack.url] = await stack.an_organization(credits=50_000)
    return _of_this_run[stack.url]
