"""What comes in by the bus: calls for leases and balances, the close of a batch lease, and the two ledger queues."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from libs.common.bus.consumer import Consumer, batch, jobs, rpc
from libs.common.clock import Clock
from libs.common.contracts import billing, edge, takedowns
from libs.common.contracts.envelope import LEDGER_QUEUES, Context, Message
from libs.common.errors import FangateError
from libs.common.telemetry.log import logger
from libs.common.telemetry.trace import is_sampled_id
from services.billing.domain.audit import Books
from services.billing.domain.errors import InvalidRequest, LeaseInvalid, UnknownPlan
from services.billing.domain.reads import Reads, export_span, ledger_filter, usage_span
from services.billing.entry.metrics import count_lease, count_posted
from services.billing.usecases.append_transfers import AppendTransfers
from services.billing.usecases.cancel_subscription import CancelSubscription
from services.billing.usecases.change_plan import ChangePlan
from services.billing.usecases.close_batch import CloseBatch
from services.billing.usecases.open_batch import OpenBatch
from services.billing.usecases.open_slab import OpenSlab

BATCH_MESSAGES: Final = 500  # the knee: more rows per transaction gain nothing and wait longer
BATCH_WAIT_S: Final = 0.020
# A transaction costs as much as some fifty records: with fewer (each about 300 bytes) it can wait for more.
LULL_BYTES: Final = 16_384
LULL_S: Final = 0.050
RECORDS_MAX: Final = 1_000  # of one transaction; a message carries up to 256
PAGE_MAX: Final = 100  # lines of a listing

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The use cases behind the queues."""

    open_slab: OpenSlab
    open_batch: OpenBatch
    close_batch: CloseBatch
    append: AppendTransfers
    change_plan: ChangePlan
    cancel_subscription: CancelSubscription
    books: Books
    reads: Reads
    clock: Clock

    async def lease(self, request: billing.OpenLease, _context: Context) -> billing.LeaseOpened:
        holder = "batch" if request.holder == "batch" else "redis"
        try:
            match request.holder:
                case "redis" | "edge":
                    opened = await self.open_slab(request)
                case "batch":
                    opened = await self.open_batch(request)
                case _:
                    raise LeaseInvalid
        except FangateError as exc:
            count_lease(holder, exc.code.lower())
            raise
        count_lease(holder, "granted")
        return opened

    async def close(self, request: billing.CloseLease, _context: Context) -> None:
        await self.close_batch(request)
        count_lease("batch", "returned")

    async def balance(self, request: billing.GetBalance, _context: Context) -> billing.Balance:
        return await self.books.balance(request.org_id)

    async def transactions(self, request: billing.ListTransactions, _context: Context) -> billing.Transactions:
        limit = max(1, min(request.limit, PAGE_MAX))
        return await self.books.transactions(request.org_id, page=max(0, request.page), limit=limit)

    async def plans(self, _request: billing.ListPlans, _context: Context) -> billing.Plans:
        return await self.reads.plans()

    async def subscription(self, request: billing.GetSubscription, _context: Context) -> billing.Subscription:
        return await self.reads.subscription(request.org_id)

    async def subscribe(self, request: billing.UpdateSubscription, _context: Context) -> billing.Subscription:
        if (request.plan is None) is not request.cancels:
            raise InvalidRequest("body: either plan or cancels is expected")
        try:
            if request.plan is None:
                await self.cancel_subscription(request.org_id, by=request.by)
            else:
                await self.change_plan(request.org_id, request.plan, by=request.by)
        except UnknownPlan as exc:
            raise InvalidRequest(f"plan: {exc.public}") from exc
        return await self.reads.subscription(request.org_id)

    async def lines(self, request: billing.ListLedger, _context: Context) -> billing.LedgerPage:
        return await self.reads.ledger(ledger_filter(request))

    async def export(self, request: billing.ExportLedger, _context: Context) -> billing.LedgerExported:
        return await self.reads.export(export_span(request))

    async def usage(self, request: billing.GetUsage, _context: Context) -> billing.UsageReport:
        return await self.reads.usage(usage_span(request, now=self.clock.now()))

    async def ledger(self, items: list[tuple[Any, Context]]) -> None:
        for messages in _chunks([message for message, _ in items]):
            started = time.perf_counter()
            posted = await self.append(messages)
            count_posted(posted, seconds=time.perf_counter() - started)
            _tell(messages)


def _tell(messages: Sequence[Message]) -> None:
    """The log line of each call that other services log as well: a debit's id is the request's."""
    for message in messages:
        if isinstance(message, edge.UsageRecorded):
            for usage in message.records:
                if is_sampled_id(usage.id):
                    _log.info(
                        "usage posted", request_id=str(usage.id), org_id=str(usage.org_id), route=usage.route, credits=usage.cost
                    )  # fmt: skip


def consumers(do: Handlers) -> list[Consumer]:
    """The queues of billing."""
    ledger = [
        batch(
            f"billing.ledger.{number}",
            size=BATCH_MESSAGES,
            wait_s=BATCH_WAIT_S,
            lull_bytes=LULL_BYTES,
            lull_s=LULL_S,
        ).on(
            edge.UsageRecorded,
            edge.UsageVoided,
            takedowns.BatchDebited,
            takedowns.BatchRefunded,
            billing.LeaseExpired,
            do.ledger,
        )
        for number in range(LEDGER_QUEUES)
    ]
    return [
        rpc("billing.rpc", prefetch=100, workers=50)
        .on(billing.OpenLease, do.lease)
        .on(billing.GetBalance, do.balance)
        .on(billing.ListTransactions, do.transactions)
        .on(billing.ListPlans, do.plans)
        .on(billing.GetSubscription, do.subscription)
        .on(billing.UpdateSubscription, do.subscribe)
        .on(billing.ListLedger, do.lines)
        .on(billing.ExportLedger, do.export)
        .on(billing.GetUsage, do.usage),
        jobs("billing.jobs", prefetch=32, workers=8).on(billing.CloseLease, do.close),
        *ledger,
    ]


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Split a batch, in order, so that no transaction grows beyond the knee; what was posted before a failure is absorbed
    when the batch comes again.
    """
    chunk: list[Message] = []
    records = 0
    for message in messages:
        weight = len(message.records) if isinstance(message, edge.UsageRecorded) else 1
        if chunk and records + weight > RECORDS_MAX:
            yield chunk
            chunk, records = [], 0
        chunk.append(message)
        records += weight
    if chunk:
        yield chunk
