"""Billing on real servers for tests: assembled in this process, with a clock that can be moved, and an edge in miniature."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import SystemClock
from libs.common.contracts.billing import LeaseExpired, LeaseOpened, OpenLease
from libs.common.contracts.edge import Usage, UsageRecorded
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchDebited
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from libs.common.redis.client import Epoch, Redis
from libs.common.redis.keys import lease as lease_key
from libs.common.redis.scripts import script
from services.billing.app import App, assemble
from services.billing.domain.bucket import BucketKind
from services.billing.domain.lease import LeaseRules
from services.billing.domain.posting import Posted
from services.billing.store.books import PostgresBooks
from services.billing.store.counters import RedisCounters
from services.billing.store.postgres import PostgresLedger
from services.billing.usecases.announce import Announce
from services.billing.usecases.end_subscription import EndSubscription
from services.billing.usecases.grant_credits import GrantCredits
from services.billing.usecases.mark_past_due import MarkPastDue
from services.billing.usecases.periods import Periods
from services.billing.usecases.start_subscription import StartSubscription
from tests.support.servers import TestDatabase

QUICK = LeaseRules(look_again_s=0.0)  # the spec's numbers, without the pause before `credits in use`

# What the edge's admission does to a lease: -1 no counter, or over, or too little left.
RESERVE = script(
    "reserve",
    """
    local l = redis.call('HMGET', KEYS[1], 'id', 'avail', 'until')
    local t = redis.call('TIME')
    if not l[1] or t[1] * 1000 + math.floor(t[2] / 1000) >= tonumber(l[3]) then return {'', -1} end
    if tonumber(l[2]) < tonumber(ARGV[1]) then return {'', -1} end
    return {l[1], redis.call('HINCRBY', KEYS[1], 'avail', -ARGV[1])}
    """,
)


@dataclass
class MovableClock:
    """The machine's clock, moved forward by `skip`."""

    ahead_s: float = 0.0
    _clock: SystemClock = field(default_factory=SystemClock)

    def skip(self, seconds: float) -> None:
        self.ahead_s += seconds

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.ahead_s)

    def now_ms(self) -> int:
        return self._clock.now_ms() + int(self.ahead_s * 1000)

    def stopwatch_ms(self) -> int:
        return self._clock.stopwatch_ms() + int(self.ahead_s * 1000)


@dataclass
class Billing:
    """One billing, as its handlers see it, without the bus: what it says lies in the outbox."""

    app: App
    db: Database
    redis: Redis
    clock: MovableClock
    ledger: PostgresLedger
    books: PostgresBooks
    start: StartSubscription
    grant: GrantCredits
    past_due: MarkPastDue
    end: EndSubscription

    async def organization(self, *, plan: str | None = "free", topup: int = 0) -> uuid.UUID:
        """A new organization with these credits."""
        org_id = uuid.uuid4()
        if plan is not None:
            await self.start(org_id, plan)
        if topup:
            await self.grant(org_id, topup, kind=BucketKind.TOPUP, memo="test")
        return org_id

    async def poor_organization(self, credits_: int) -> uuid.UUID:
        """An organization whose plan's credits are spent but for `credits_` (of 100)."""
        org_id = await self.organization(plan="free")
        if credits_ < 100:
            batch = await self.open_batch(org_id, 100 - credits_)
            await self.post(BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=100 - credits_))
        return org_id

    async def open_slab(self, org_id: uuid.UUID, cost: int = 1, ref: str | None = None) -> LeaseOpened:
        ref = ref or (await self.redis.epoch()).name
        return await self.app.handlers.open_slab(OpenLease(org_id=org_id, holder="redis", ref=ref, cost=cost))

    async def open_batch(self, org_id: uuid.UUID, amount: int, lease_id: uuid.UUID | None = None) -> LeaseOpened:
        return await self.app.handlers.open_batch(
            OpenLease(org_id=org_id, holder="batch", ref="batch", amount=amount, lease_id=lease_id or uuid7())
        )

    async def post(self, *messages: Message) -> Posted:
        return await self.app.handlers.append(messages)

    async def expire(self) -> None:
        """One run of the lease timer, and the markers it sent, posted."""
        await self.app.work.expire_leases()
        for org_id, lease_id in await self.said("billing.lease.expired.v1", "org_id", "lease_id"):
            await self.post(LeaseExpired(org_id=uuid.UUID(org_id), lease_id=uuid.UUID(lease_id)))

    async def finish_all(self) -> None:
        """Let the time pass that makes every lease of today final."""
        for _ in range(2):
            self.clock.skip(100)
            await self.expire()

    async def said(self, type_: str, *fields: str) -> list[tuple[Any, ...]]:
        """Take messages of a type out of the outbox; answers the fields asked for."""
        rows = await self.db.fetch(
            "WITH gone AS (DELETE FROM outbox WHERE type = $1 RETURNING id, convert_from(body, 'UTF8')::jsonb AS body)"
            " SELECT body FROM gone ORDER BY id",
            type_,
        )
        return [tuple(row["body"].get(name) for name in fields) for row in rows]

    async def balance(self, org_id: uuid.UUID) -> int:
        return (await self.books.balance(org_id)).balance

    async def leased(self, org_id: uuid.UUID) -> int:
        return (await self.books.balance(org_id)).leased

    async def counter(self, org_id: uuid.UUID) -> dict[str, str]:
        """The lease's hash in Redis."""
        key = lease_key(org_id, await self.redis.epoch())
        return dict(await self.redis.command("HGETALL", key))

    async def reserve(self, org_id: uuid.UUID, cost: int) -> uuid.UUID | None:
        """Reserve like the edge's admission; the lease's id, or None when it needs one."""

        def keys(epoch: Epoch) -> list[str]:
            return [lease_key(org_id, epoch)]

        id_, _ = await self.redis.run(RESERVE, keys, lambda _: [cost])
        return uuid.UUID(id_) if id_ else None


@contextlib.asynccontextmanager
async def a_billing(
    database: TestDatabase, redis_url: str, rules: LeaseRules = QUICK, grace: timedelta = timedelta(0)
) -> AsyncIterator[Billing]:
    """Billing over a database and a Redis."""
    db = await Database.connect(database.dsn("billing"), schema="billing", name="billing-test", size_max=10)
    redis = Redis.create(redis_url)
    clock, outbox = MovableClock(), Outbox()
    try:
        ledger = PostgresLedger(db, outbox)
        announce = Announce(clock=clock)
        periods = Periods(announce=announce, grace=grace)
        yield Billing(
            app=assemble(db, redis, outbox, clock=clock, rules=rules, grace=grace),
            db=db,
            redis=redis,
            clock=clock,
            ledger=ledger,
            books=PostgresBooks(db),
            start=StartSubscription(ledger=ledger, clock=clock, periods=periods),
            grant=GrantCredits(ledger=ledger, clock=clock, announce=announce),
            past_due=MarkPastDue(ledger=ledger, clock=clock, periods=periods),
            end=EndSubscription(ledger=ledger, store=RedisCounters(redis), clock=clock, rules=rules, periods=periods),
        )
    finally:
        await redis.close()
        await db.close()


def a_usage(org_id: uuid.UUID, lease_id: uuid.UUID, cost: int = 1, id_: uuid.UUID | None = None) -> Usage:
    """One call."""
    return Usage(
        id=id_ or uuid7(),
        org_id=org_id,
        lease_id=lease_id,
        cost=cost,
        key_id=uuid.UUID(int=1),
        model_id=uuid.UUID(int=2),
        route="chats.list",
    )


def recorded(*usages: Usage) -> UsageRecorded:
    """One message of these calls."""
    return UsageRecorded(records=usages)


async def eventually(check: Any, *, within_s: float = 10.0) -> None:
    """Await `check` until it is true."""
    async with asyncio.timeout(within_s):
        while not await check():
            await asyncio.sleep(0.05)
