"""The ports of submissions twice: the memory that unit tests use, and Postgres. `Progress` and its rows are on Postgres alone."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from libs.common.contracts.creators import OfficialLink
from libs.common.contracts.envelope import Message
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.takedowns.domain.creator import Creator
from services.takedowns.domain.ports import Batches, Creators, NewBatch, Refunds, Submissions, UrlOwner
from services.takedowns.domain.progress_ports import Progress
from services.takedowns.domain.submission import Target
from services.takedowns.store.batches import PostgresBatches
from services.takedowns.store.creators import PostgresCreators
from services.takedowns.store.progress import PostgresProgress
from services.takedowns.store.refunds import PostgresRefunds
from services.takedowns.store.submissions import PostgresSubmissions
from tests.support.servers import TestDatabase
from tests.support.takedowns_memory import Memory, MemoryBatches, MemoryCreators, MemoryRefunds, MemorySubmissions
from tests.support.takedowns_rows import ORG, Rows, said

__all__ = ["ORG"]


@dataclass
class Ports:
    """One of the two, and what the suite does behind its ports."""

    creators: Creators
    submissions: Submissions
    refunds: Refunds
    batches: Batches
    memory: Memory | None = None
    db: Database | None = None

    async def said(self) -> list[Message]:
        """What was committed for the bus so far, in order."""
        if self.memory is not None:
            return list(self.memory.tables.said)
        assert self.db is not None
        return await said(self.db)

    async def a_day_later(self) -> None:
        """What was settled is a day older."""
        if self.memory is not None:
            self.memory.now += timedelta(days=2)
            return
        assert self.db is not None
        await self.db.execute("UPDATE batches SET settled_at = settled_at - interval '2 days'")

    async def notice_left(self, url_id: uuid.UUID) -> None:
        """A notice about this URL left."""
        if self.memory is not None:
            for row in self.memory.tables.urls.values():
                if row.id == url_id:
                    row.first_notice_at = self.memory.now
            return
        assert self.db is not None
        await self.db.execute("UPDATE urls SET first_notice_at = now() WHERE id = $1", url_id)

    async def creator(self, name: str = "Luna", *, org_id: uuid.UUID = ORG) -> Creator:
        """One that was registered."""
        async with self.creators.exclusive(org_id) as tx:
            new = a_creator(name, org_id=org_id)
            await tx.add([new])
        found = await self.creators.find(org_id, new.public_id)
        assert found is not None
        return found

    async def target(self, name: str = "Luna", *, org_id: uuid.UUID = ORG) -> Target:
        creator = await self.creator(name, org_id=org_id)
        return (await self.submissions.targets(org_id, [creator.public_id]))[creator.public_id]

    async def delete(self, public_id: uuid.UUID, *, org_id: uuid.UUID = ORG) -> None:
        async with self.creators.exclusive(org_id) as tx:
            creator = await tx.find(public_id)
            assert creator is not None
            await tx.delete(creator)


def a_creator(name: str = "Luna", *, org_id: uuid.UUID = ORG, email: str = "") -> Creator:
    """One that is not registered yet."""
    email = email or f"{uuid.uuid4().hex}@example.com"
    links = (OfficialLink("onlyfans", "luna"), OfficialLink("fansly", "Luna.Vale"))
    return Creator(public_id=uuid7(), org_id=org_id, stage_name=name, email=email, email_key=email.lower(), links=links)


def a_batch(*, org_id: uuid.UUID = ORG) -> NewBatch:
    """One that is about to be stored."""
    return NewBatch(id=uuid7(), org_id=org_id, key_id=None, is_sandbox=False, notes="weekly")


def owner_of(target: Target) -> UrlOwner:
    return UrlOwner(ORG, target.id, target.public_id)


@pytest.fixture
def memory_ports() -> Ports:
    memory = Memory()
    return Ports(
        MemoryCreators(memory), MemorySubmissions(memory), MemoryRefunds(memory), MemoryBatches(memory), memory=memory
    )


@pytest.fixture
async def postgres_ports(database: TestDatabase) -> AsyncIterator[Ports]:
    db = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test", size_max=8)
    outbox = Outbox()
    yield Ports(
        PostgresCreators(db, outbox), PostgresSubmissions(db, outbox), PostgresRefunds(db, outbox), PostgresBatches(db), db=db
    )  # fmt: skip
    await db.close()


@pytest.fixture(params=["memory_ports", "postgres_ports"])
def ports(request: pytest.FixtureRequest) -> Ports:
    found: Ports = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def rows(database: TestDatabase) -> AsyncIterator[Rows]:
    db = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test", size_max=8)
    yield Rows(db)
    await db.close()


@pytest.fixture
def progress(rows: Rows) -> Progress:
    return PostgresProgress(rows.db, Outbox())
