"""Auth on the real servers."""

from collections.abc import AsyncIterator

import pytest

from libs.common.bus import Bus
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from services.auth.store.postgres import PostgresAccounts
from tests.support.auth_process import environment
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import Operator, ServiceProcess, running_service


@pytest.fixture
def env(database: TestDatabase, broker: TestBroker) -> dict[str, str]:
    return environment(database, broker)


@pytest.fixture
def operator(env: dict[str, str]) -> Operator:
    return Operator("auth", env)


@pytest.fixture
async def auth_process(env: dict[str, str]) -> AsyncIterator[ServiceProcess]:
    async with running_service("auth", env) as process:
        yield process


@pytest.fixture
async def edge(broker: TestBroker) -> AsyncIterator[Bus]:
    """An edge's place on the bus."""
    bus = await Bus.connect(broker.url("edge"), service="edge")
    yield bus
    await bus.close()


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    """The database with auth's own rights."""
    connected = await Database.connect(database.dsn("auth"), schema="auth", name="test", size_max=4)
    yield connected
    await connected.close()


@pytest.fixture
def accounts(db: Database) -> PostgresAccounts:
    """Changes made here stay in the outbox until a process of auth comes by."""
    return PostgresAccounts(db, Outbox())


@pytest.fixture
async def owner(database: TestDatabase) -> AsyncIterator[Database]:
    """The database with all rights there are."""
    connected = await Database.connect(database.admin_dsn, schema="auth", name="test", size_max=2)
    yield connected
    await connected.close()
