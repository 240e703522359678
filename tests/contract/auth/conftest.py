"""Auth's ports twice: the memory that unit tests use, and Postgres."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from services.auth.domain.ports import Accounts, KeyHolders
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from tests.support.auth_memory import MemoryAccounts
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
