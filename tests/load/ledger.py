"""The ledger under load: records as an edge sends them, straight onto the bus, for one hot organization.

Throughput is what the consumer does with a queue that is full; latency is from a record's birth to its row, at a steady rate.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Final

import asyncpg

from libs.common.bus import Bus
from libs.common.contracts.billing import LeaseOpened, OpenLease
from libs.common.contracts.edge import USAGE_RECORDS_MAX, Usage, UsageRecorded
from libs.common.contracts.wire import encode
from libs.common.ids import uuid7
from tests.support.stack import Organization, Stack

TICK_SECONDS: Final = 0.010  # how often a busy edge sends, at a steady rate
POSTED_SECONDS_MAX: Final = 120.0

_POSTED: Final = "SELECT posted FROM billing.leases WHERE id = $1"
_FIGURES: Final = """
    WITH posted AS (
        SELECT extract(epoch FROM posted_at) AS at,
               ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0 AS born
        FROM billing.transfers WHERE lease_id = $1 AND code = 10
    )
    SELECT count(*) AS records, (max(at) - min(at))::float8 AS seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY at - born) * 1000 AS p50_ms,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY at - born) * 1000 AS p99_ms
    FROM posted
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What became of the records of one lease."""

    records: int
    seconds: float  # between the first and the last row
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.records / self.seconds if self.seconds else 0.0


async def post(stack: Stack, organization: Organization, *, records: int, rate: int = 0) -> Posting:
    """Send `records` debits of 1 credit, at `rate` a second or (0) as fast as they go; returns when all are posted."""
    org_id = uuid.UUID(organization.org_id)
    bus = await Bus.connect(stack.login("FANGATE_AMQP_URL_EDGE"), service="edge")
    db = await asyncpg.connect(stack.login("FANGATE_POSTGRES_DSN_MIGRATE"))
    try:
        lease = await _lease(bus, org_id, records)
        if rate:
            await _steadily(bus, org_id, lease, records, rate)
        else:
            await _at_once(bus, org_id, lease, records)
        async with asyncio.timeout(POSTED_SECONDS_MAX):
            while await db.fetchval(_POSTED, lease) < records:
                await asyncio.sleep(0.05)
        return Posting(**dict(await db.fetchrow(_FIGURES, lease)))
    finally:
        await db.close()
        await bus.close()


async def _lease(bus: Bus, org_id: uuid.UUID, amount: int) -> uuid.UUID:
    request = OpenLease(org_id=org_id, holder="batch", ref="batch", amount=amount, lease_id=uuid7())
    deadline_ms = int(time.time() * 1_000) + 10_000
    opened, _ = await bus.call(request, org_id=org_id, deadline_ms=deadline_ms)
    assert isinstance(opened, LeaseOpened)
    return opened.lease_id


def _message(org_id: uuid.UUID, lease: uuid.UUID, count: int) -> UsageRecorded:
    return UsageRecorded(
        records=tuple(
            Usage(id=uuid7(), org_id=org_id, lease_id=lease, cost=1, key_id=org_id, model_id=org_id, route="chats_list")
            for _ in range(count)
        )
    )


async def _at_once(bus: Bus, org_id: uuid.UUID, lease: uuid.UUID, records: int) -> None:
    sizes = [min(USAGE_RECORDS_MAX, records - at) for at in range(0, records, USAGE_RECORDS_MAX)]
    messages = [encode(_message(org_id, lease, size), org_id=org_id) for size in sizes]
    await asyncio.gather(*(bus.publisher.publish(message) for message in messages))


async def _steadily(bus: Bus, org_id: uuid.UUID, lease: uuid.UUID, records: int, rate: int) -> None:
    loop = asyncio.get_running_loop()
    started, sent = loop.time(), 0
    async with asyncio.TaskGroup() as group:
        while sent < records:
            due = min(records, round((loop.time() - started) * rate))
            while sent < due:
                size = min(USAGE_RECORDS_MAX, due - sent)
                group.create_task(bus.publisher.publish(encode(_message(org_id, lease, size), org_id=org_id)))
                sent += size
            await asyncio.sleep(TICK_SECONDS)
