"""The timer's half of a subscription's life: begin periods that are due, and expire what ended periods left."""

from typing import Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.errors import Transient
from services.billing.domain.bucket import balance_at
from services.billing.domain.lease import closable
from services.billing.domain.ledger import EXPIRED, Code, Transfer
from services.billing.domain.plan import expiry_id
from services.billing.domain.ports import Ledger
from services.billing.usecases.announce import Announce
from services.billing.usecases.periods import Periods

_PER_RUN: Final = 500  # organizations of each kind; the rest waits for the next run


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did."""

    subscriptions: int = 0
    buckets: int = 0  # closed
    credits: int = 0  # expired with them

    def __add__(self, other: "Renewed") -> "Renewed":
        return Renewed(
            subscriptions=self.subscriptions + other.subscriptions,
            buckets=self.buckets + other.buckets,
            credits=self.credits + other.credits,
        )


class RenewPeriods:
    """One run. Each organization is one transaction under its lock, so any number of processes, timers and operators may
    run this at once: who comes second finds nothing due.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, announce: Announce, periods: Periods) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._periods = periods

    async def __call__(self) -> Renewed:
        now = self._clock.now()
        done, failures = Renewed(), list[Exception]()
        for step, look in (
            (self._renew, self._ledger.organizations_due),
            (self._close, self._ledger.organizations_to_close),
        ):
            for org_id in await look(now, limit=_PER_RUN):
                try:
                    done += await step(org_id)
                except Transient:
                    raise
                except Exception as exc:  # one organization's trouble is not the others'
                    failures.append(exc)
        if failures:
            raise ExceptionGroup("organizations that could not be renewed", failures)
        return done

    async def _renew(self, org_id: UUID) -> Renewed:
        async with self._ledger.transaction() as tx:
            await self._periods.current(tx, org_id, self._clock.now())
        return Renewed(subscriptions=1)

    async def _close(self, org_id: UUID) -> Renewed:
        """Close what has ended and no lease burns from; what is left in it expires, in one transfer per bucket."""
        async with self._ledger.transaction() as tx:
            await tx.lock([org_id])
            now = self._clock.now()
            buckets = await tx.buckets([org_id])
            over = closable(buckets, await tx.live_leases(org_id), now)
            rows = [
                Transfer(
                    id=expiry_id(org_id, bucket.id, bucket.ends_at),
                    code=Code.EXPIRE,
                    amount=bucket.balance,
                    org_id=org_id,
                    debit_account=bucket.id,
                    credit_account=EXPIRED,
                    memo=f"{bucket.kind.name.lower()} credits ended",
                )
                for bucket in over
                if bucket.balance and bucket.ends_at is not None
            ]
            await tx.append(rows)
            await tx.close_buckets([bucket.id for bucket in over], now)
            if rows:
                await self._announce(tx, org_id, balance_at(buckets, now), credits_came=False)
            return Renewed(buckets=len(over), credits=sum(row.amount for row in rows))
