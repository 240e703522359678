"""What billing does by the clock. Every process runs every timer; the ledger's locks make that harmless."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from libs.common.telemetry.log import logger
from services.billing.domain.audit import Books
from services.billing.domain.ports import Ledger
from services.billing.entry.metrics import count_expired, count_posted, count_renewed, show_books, show_partitions
from services.billing.usecases.announce import Announce
from services.billing.usecases.expire_leases import ExpireLeases
from services.billing.usecases.renew_periods import RenewPeriods
from services.billing.usecases.retry_refunds import RetryRefunds

LEASE_EXPIRY_SECONDS: Final = 1.0  # part of how long credits stay reserved at most (`LeaseRules`)
_FULL_EVERY_S: Final = 86_400.0  # a reconciliation from the beginning
_log = logger(__name__)


@dataclass(slots=True)
class Work:
    """The bodies of the timers."""

    ledger: Ledger
    books: Books
    announce: Announce
    expire_leases: ExpireLeases
    renew_periods: RenewPeriods
    retry_refunds: RetryRefunds
    full_at: float = 0.0  # of the monotonic clock: at the first run

    async def expire(self) -> None:
        count_expired(await self.expire_leases())

    async def refunds(self) -> None:
        started = time.perf_counter()
        count_posted(await self.retry_refunds(), seconds=time.perf_counter() - started)

    async def renew(self) -> None:
        count_renewed(await self.renew_periods())

    async def announcements(self) -> None:
        await self.announce.owed(self.ledger)

    async def seal(self) -> None:
        rows = await self.books.seal()
        if rows and (head := await self.books.head()) is not None:
            # The log is kept elsewhere than the ledger: `verify --head` holds a ledger to any of these lines.
            _log.info("sealed", rows=rows, seal_no=head.seal_no, chain=head.chain)

    async def reconcile(self) -> None:
        in_full = time.monotonic() >= self.full_at
        if in_full:  # before the look: one that fails must not keep the quick ones from running
            self.full_at = time.monotonic() + _FULL_EVERY_S
        found = await self.books.reconcile(in_full=in_full)
        show_books(found)
        if found.drift_credits or found.drift_accounts or found.seal_mismatches or found.lease_mismatches:
            _log.error("the books do not balance", drift_credits=found.drift_credits, seals=found.seal_mismatches)

    async def snapshot(self) -> None:
        await self.books.snapshot()

    async def partitions(self) -> None:
        show_partitions(await self.books.ensure_partitions())


def schedule(work: Work) -> list[tuple[str, float, Callable[[], Awaitable[None]]]]:
    """Name, seconds between runs, body."""
    return [
        ("announcements", 1.0, work.announcements),
        ("lease expiry", LEASE_EXPIRY_SECONDS, work.expire),
        ("renewals", 5.0, work.renew),
        ("refunds without debit", 30.0, work.refunds),
        ("seal", 60.0, work.seal),
        ("reconciliation", 60.0, work.reconcile),
        ("partitions", 3_600.0, work.partitions),
        ("snapshot", 86_400.0, work.snapshot),
    ]
