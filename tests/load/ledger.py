"""The ledger under load: records as an edge sends them, straight onto the bus, for one hot organization or for many.

Throughput is what the consumer does with a queue that is full; latency is from a record's birth to its row, at a steady rate.
"""

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import asyncpg

from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.contracts.billing import LeaseOpened, OpenLease
from libs.common.contracts.edge import USAGE_RECORDS_MAX, Usage, UsageRecorded
from libs.common.contracts.wire import encode, shard_of
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.store.postgres import PostgresAccounts
from services.auth.usecases.create_organization import CreateOrganization
from services.billing.store.postgres import PostgresLedger
from services.billing.usecases.announce import Announce
from services.billing.usecases.periods import Periods
from services.billing.usecases.start_subscription import StartSubscription
from tests.support.stack import Stack

TICK_SECONDS: Final = 0.010  # how often a busy edge sends, at a steady rate
POSTED_SECONDS_MAX: Final = 120.0
AT_ONCE: Final = 4  # organizations subscribed, or leases opened, side by side: one connection each

Item = TypeVar("Item")

_POSTED: Final = "SELECT sum(posted)::bigint FROM billing.leases WHERE id = ANY($1)"
_FIGURES: Final = """
    WITH posted AS (
        SELECT extract(epoch FROM posted_at) AS at,
               ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0 AS born
        FROM billing.transfers WHERE lease_id = ANY($1) AND code = 10
    )
    SELECT count(*) AS records, (max(at) - min(at))::float8 AS seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY at - born) * 1000 AS p50_ms,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY at - born) * 1000 AS p99_ms
    FROM posted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What became of the records of one run."""

    records: int
    seconds: float  # between the first and the last row
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.records / self.seconds if self.seconds else 0.0


async def subscribed(stack: Stack, count: int, *, plan: str) -> list[uuid.UUID]:
    """Fresh organizations with a plan, without keys or models: nobody can call as one of them."""
    clock = SystemClock()
    async with _store(stack, "auth") as auth, _store(stack, "billing") as billing:
        create = CreateOrganization(PostgresAccounts(auth, Outbox()))
        periods = Periods(announce=Announce(clock=clock), grace=timedelta())
        start = StartSubscription(ledger=PostgresLedger(billing, Outbox()), clock=clock, periods=periods)

        async def subscribe(number: int) -> uuid.UUID:
            organization = await create(name=f"bench {number}")
            await start(organization.org_id, plan)
            return organization.org_id

        orgs: list[uuid.UUID] = []
        for some in _groups(range(count), AT_ONCE):
            orgs += await asyncio.gather(*(subscribe(number) for number in some))
        return orgs


@contextlib.asynccontextmanager
async def _store(stack: Stack, service: str) -> AsyncIterator[Database]:
    dsn = stack.login(f"FANGATE_POSTGRES_DSN_{service.upper()}")
    db = await Database.connect(dsn, schema=service, name="bench", size_max=AT_ONCE)
    try:
        yield db
    finally:
        await db.close()


async def post(stack: Stack, orgs: Sequence[uuid.UUID], *, records: int, rate: int = 0) -> Posting:
    """Send `records` debits of 1 credit, in turn of each organization, at `rate` a second or (0) as fast as they go; returns
    when all are posted.
    """
    bus = await Bus.connect(stack.login("FANGATE_AMQP_URL_EDGE"), service="edge")
    db = await asyncpg.connect(stack.login("FANGATE_POSTGRES_DSN_MIGRATE"))
    try:
        each = -(-records // len(orgs))
        leases: dict[uuid.UUID, uuid.UUID] = {}
        for some in _groups(orgs, AT_ONCE):
            opened = await asyncio.gather(*(_lease(bus, org_id, each) for org_id in some))
            leases |= dict(zip(some, opened, strict=True))
        await _send(bus, leases, each * len(orgs), rate)
        async with asyncio.timeout(POSTED_SECONDS_MAX):
            while await db.fetchval(_POSTED, list(leases.values())) < each * len(orgs):
                await asyncio.sleep(0.05)
        return Posting(**dict(await db.fetchrow(_FIGURES, list(leases.values()))))
    finally:
        await db.close()
        await bus.close()


async def _lease(bus: Bus, org_id: uuid.UUID, amount: int) -> uuid.UUID:
    request = OpenLease(org_id=org_id, holder="batch", ref="batch", amount=amount, lease_id=uuid7())
    deadline_ms = int(time.time() * 1_000) + 10_000
    opened, _ = await bus.call(request, org_id=org_id, deadline_ms=deadline_ms)
    assert isinstance(opened, LeaseOpened)
    return opened.lease_id


async def _send(bus: Bus, leases: dict[uuid.UUID, uuid.UUID], records: int, rate: int) -> None:
    """The records as an edge would group them: those of a shard in messages of up to 256, every tick what is due."""
    loop = asyncio.get_running_loop()
    turns = itertools.cycle(leases.items())
    started, sent = loop.time(), 0
    async with asyncio.TaskGroup() as group:
        while sent < records:
            due = min(records, round((loop.time() - started) * rate)) if rate else records
            shards: dict[int, list[Usage]] = {}
            for org_id, lease in itertools.islice(turns, due - sent):
                shards.setdefault(shard_of(org_id), []).append(_record(org_id, lease))
            for own in shards.values():
                for some in _groups(own, USAGE_RECORDS_MAX):
                    message = encode(UsageRecorded(records=tuple(some)), org_id=some[0].org_id)
                    group.create_task(bus.publisher.publish(message))
            sent = due
            await asyncio.sleep(TICK_SECONDS)


def _record(org_id: uuid.UUID, lease: uuid.UUID) -> Usage:
    return Usage(id=uuid7(), org_id=org_id, lease_id=lease, cost=1, key_id=org_id, model_id=org_id, route="chats_list")


def _groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
