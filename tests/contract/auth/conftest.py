"""Auth's ports twice: the memory that unit tests use, and Postgres."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.vault import Vault
from services.auth.domain.app_ports import AppAccounts, AppsRead, SignIns, Tokens
from services.auth.domain.ports import Accounts, KeyHolders
from services.auth.domain.webhook_ports import Announcements, Deliveries, Endpoints
from services.auth.store.apps import PostgresApps, PostgresTokens
from services.auth.store.deliveries import PostgresDeliveries
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.store.sign_in import PostgresSignIns
from services.auth.store.webhooks import PostgresAnnouncements, PostgresEndpoints, SealedSecrets
from tests.support.auth import WEBHOOK_RING_TEXT, StandingClock
from tests.support.auth_app_memory import MemoryAppAccounts, MemoryApps, MemoryTokens
from tests.support.auth_memory import MemoryAccounts
from tests.support.auth_webhook_memory import MemoryAnnouncements, MemoryDeliveries, MemoryEndpoints
from tests.support.servers import TestDatabase


@dataclass
class Ports:
    accounts: Accounts
    holders: KeyHolders
    db: Database | None

    async def events(self) -> list[Message]:
        """What was committed for the bus so far, in order."""
        if self.db is None:
            assert isinstance(self.accounts, MemoryAccounts)
            return list(self.accounts.events)
        rows = await self.db.fetch("SELECT type, body FROM outbox ORDER BY id")
        found = []
        for row in rows:
            entry = REGISTRY.by_name(row["type"])
            assert entry is not None
            found.append(msgspec.json.decode(row["body"], type=entry.struct))
        return found


@pytest.fixture
def memory_ports() -> Ports:
    memory = MemoryAccounts()
    return Ports(memory, memory, None)


@pytest.fixture
async def postgres_ports(database: TestDatabase) -> AsyncIterator[Ports]:
    db = await Database.connect(database.dsn("auth"), schema="auth", name="test", size_max=4)
    yield Ports(PostgresAccounts(db, Outbox()), PostgresKeyHolders(db), db)
    await db.close()


@pytest.fixture(params=["memory_ports", "postgres_ports"])
def ports(request: pytest.FixtureRequest) -> Ports:
    found: Ports = request.getfixturevalue(request.param)
    return found


@dataclass
class AppPorts(Ports):
    """Those of apps, sign-in and webhooks beside them, in time that passes when the test says so."""

    accounts: AppAccounts
    apps: AppsRead
    tokens: Tokens
    sign_ins: SignIns
    endpoints: Endpoints
    deliveries: Deliveries
    announcements: Announcements
    clock: StandingClock


@pytest.fixture
def memory_app_ports() -> AppPorts:
    memory, clock = MemoryAppAccounts(), StandingClock()
    return AppPorts(
        memory, memory, None, MemoryApps(memory), MemoryTokens(memory), memory, MemoryEndpoints(memory, clock),
        MemoryDeliveries(memory, clock), MemoryAnnouncements(memory), clock,
    )  # fmt: skip


@pytest.fixture
async def postgres_app_ports(database: TestDatabase) -> AsyncIterator[AppPorts]:
    db = await Database.connect(database.dsn("auth"), schema="auth", name="test", size_max=4)
    accounts, clock = PostgresAccounts(db, Outbox()), StandingClock()
    sealed, wake = SealedSecrets(Vault.parse(WEBHOOK_RING_TEXT)), asyncio.Event()
    yield AppPorts(
        accounts, PostgresKeyHolders(db), db, PostgresApps(db), PostgresTokens(db), PostgresSignIns(db),
        PostgresEndpoints(db, accounts, sealed, clock), PostgresDeliveries(db, accounts, sealed, clock, wake),
        PostgresAnnouncements(db, Outbox()), clock,
    )  # fmt: skip
    await db.close()


@pytest.fixture(params=["memory_app_ports", "postgres_app_ports"])
def app_ports(request: pytest.FixtureRequest) -> AppPorts:
    found: AppPorts = request.getfixturevalue(request.param)
    return found
