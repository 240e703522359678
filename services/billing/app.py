"""The composition root of billing: every object once, by hand, in order."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from libs.common.clock import Clock, SystemClock
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.timers import Timer
from libs.common.process import Process
from libs.common.redis.client import Redis
from libs.common.settings import load
from libs.common.worker import Worker
from services.billing.domain.lease import LeaseRules
from services.billing.entry.consumers import Handlers, consumers
from services.billing.entry.timers import Work, schedule
from services.billing.settings import BillingSettings
from services.billing.store.books import PostgresBooks
from services.billing.store.counters import RedisCounters
from services.billing.store.postgres import PostgresLedger
from services.billing.store.reads import PostgresReads
from services.billing.usecases.announce import Announce
from services.billing.usecases.append_transfers import AppendTransfers
from services.billing.usecases.cancel_subscription import CancelSubscription
from services.billing.usecases.change_plan import ChangePlan
from services.billing.usecases.close_batch import CloseBatch
from services.billing.usecases.expire_leases import ExpireLeases
from services.billing.usecases.open_batch import OpenBatch
from services.billing.usecases.open_slab import OpenSlab
from services.billing.usecases.periods import Periods
from services.billing.usecases.renew_periods import RenewPeriods
from services.billing.usecases.retry_refunds import RetryRefunds
from services.billing.usecases.reverse import Reverse
from services.billing.usecases.turns import Turns

CONNECTIONS_MAX = 20  # to Postgres: two ledger queues, rpc and the timers side by side
SILENCE_SECONDS_MAX = 10  # of a transaction: its locks stop all money of its organizations


@dataclass(frozen=True, slots=True)
class App:
    """Everything billing can do, wired."""

    handlers: Handlers
    work: Work


def assemble(
    db: Database,
    redis: Redis,
    outbox: Outbox,
    *,
    redis_prefix: str = "",
    is_finalising: bool = True,
    clock: Clock | None = None,
    rules: LeaseRules | None = None,
    grace: timedelta = timedelta(0),
) -> App:
    """Wire the use cases to a database and a Redis; nothing is connected or started."""
    clock, rules = clock or SystemClock(), rules or LeaseRules()
    ledger, books = PostgresLedger(db, outbox), PostgresBooks(db)
    counters, turns = RedisCounters(redis, prefix=redis_prefix), Turns()
    announce = Announce(clock=clock)
    periods = Periods(announce=announce, grace=grace)
    setting_aside: dict[str, Any] = {
        "ledger": ledger, "store": counters, "clock": clock, "rules": rules, "periods": periods, "turns": turns,
        "sleep": asyncio.sleep,
    }  # fmt: skip
    append = AppendTransfers(ledger=ledger, clock=clock, announce=announce, reverse=Reverse())
    handlers = Handlers(
        open_slab=OpenSlab(**setting_aside),
        open_batch=OpenBatch(**setting_aside),
        close_batch=CloseBatch(ledger=ledger, clock=clock),
        append=append,
        change_plan=ChangePlan(ledger=ledger, clock=clock, periods=periods),
        cancel_subscription=CancelSubscription(ledger=ledger, clock=clock, periods=periods),
        books=books,
        reads=PostgresReads(db),
        clock=clock,
    )
    work = Work(
        ledger=ledger,
        books=books,
        announce=announce,
        expire_leases=ExpireLeases(
            ledger=ledger, store=counters, clock=clock, rules=rules, is_finalising=is_finalising
        ),
        renew_periods=RenewPeriods(ledger=ledger, clock=clock, announce=announce, periods=periods),
        retry_refunds=RetryRefunds(ledger=ledger, clock=clock, append=append),
    )
    return App(handlers=handlers, work=work)


async def build(process: Process) -> None:
    """Connect, wire and start."""
    settings = load(BillingSettings, service="billing")
    worker = await Worker.open(
        process, settings, connections_max=CONNECTIONS_MAX, idle_in_transaction_s=SILENCE_SECONDS_MAX
    )
    redis = await process.closing(Redis.create(settings.redis_url.reveal()))
    app = assemble(
        worker.db,
        redis,
        worker.outbox,
        redis_prefix=settings.redis_prefix,
        is_finalising=settings.lease_finalise,
        grace=timedelta(hours=settings.past_due_grace_hours),
    )
    for name, interval_s, work in schedule(app.work):
        process.start(name, Timer(name, interval_s, work).run())
    # Ready without Redis: billing posts all the same, and the edge keeps its own counters.
    await worker.serve(consumers(app.handlers))
