"""Post what the ledger queues bring: usage and its voids, debits and refunds of batches, markers of leases that end.

One batch of messages is one transaction. Any number of deliveries, in any order, has one effect: an operation's id is the
transfer's id, and what the ledger knows already is compared and absorbed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.edge import UsageRecorded
from libs.common.contracts.envelope import Message
from libs.common.ids import id_ms
from services.billing.domain.bucket import Bucket, balance_at
from services.billing.domain.errors import RacedPosting, Unpostable
from services.billing.domain.ledger import (
    Allocation,
    Code,
    Debit,
    PostError,
    Transfer,
    allocate,
    is_same_debit,
    is_twin,
)
from services.billing.domain.ports import Ledger, LedgerTx, Parked
from services.billing.domain.posting import Intake, Posted, sort_intake
from services.billing.usecases.announce import Announce
from services.billing.usecases.reverse import Reverse

_TRIES: Final = 3  # a race with another poster is over when its transaction is
_FUTURE_MS_MAX: Final = 300_000  # an id further ahead of our clock is not believed


class AppendTransfers:
    """Post a batch; answers what was done, for the metrics.

    Raises Unavailable or another Transient when nothing was written and the same batch should be tried again, Unpostable when
    the database refuses the data: several messages are then to be handed over one by one; of a single message all good
    records have been posted and the bad ones put aside.
    """

    def __init__(self, *, ledger: Ledger, clock: Clock, announce: Announce, reverse: Reverse) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._reverse = reverse
        self._oldest_ms: int | None = None

    async def __call__(self, messages: Sequence[Message]) -> Posted:
        try:
            return await self._post(messages)
        except Unpostable:
            if len(messages) > 1:
                raise
            await self._post_one_by_one(messages[0])
            raise

    async def _post_one_by_one(self, message: Message) -> None:
        parts: list[Message] = [message]
        if isinstance(message, UsageRecorded):
            parts = [UsageRecorded(records=(record,)) for record in message.records]
        for part in parts:
            try:
                await self._post([part])
            except Unpostable:
                intake = sort_intake([part])
                async with self._ledger.transaction() as tx:
                    await tx.park([_parked(id_, PostError.MALFORMED, part) for id_ in intake.ids])

    async def _post(self, messages: Sequence[Message]) -> Posted:
        for attempt in range(1, _TRIES + 1):
            intake = sort_intake(messages)
            try:
                async with self._ledger.transaction() as tx:
                    return await self._write(tx, intake)
            except RacedPosting:
                if attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")

    async def _write(self, tx: LedgerTx, intake: Intake) -> Posted:
        posted = Posted()
        now = self._clock.now()
        locked = await tx.lock(intake.org_ids)
        known = await tx.transfers(intake.ids)
        await self._note_voids(tx, intake, known, posted)
        debits = await self._fresh_debits(tx, intake, known, set(locked), posted)
        balances: dict[UUID, int] = {}
        if debits:
            leases = await tx.leases({debit.lease_id for debit in debits})
            buckets = await tx.buckets({debit.org_id for debit in debits})
            allocation = allocate(buckets, leases, debits, now=now)
            await tx.append(allocation.rows)
            await tx.park([_parked(debit.id, reason, debit) for debit, reason in allocation.refused])
            balances = _balances_after(buckets, allocation, now)
            posted.count_rows(allocation.rows, now_ms=self._clock.now_ms())
            posted.waived += allocation.waived
            posted.refused += [reason for _, reason in allocation.refused]
        came_back = await self._give_back(tx, intake, known, posted, now)
        # Only now: everything that stood before a marker in its queue is posted, and a batch's debit ends its lease.
        await tx.finish_leases(intake.closing_batches, closing_only=False, at=now)
        posted.finished = await tx.finish_leases(intake.expired_leases, closing_only=True, at=now)
        for org_id in sorted(came_back):
            balances.pop(org_id, None)
            balance = balance_at(await tx.buckets([org_id]), now)
            await self._announce(tx, org_id, balance, credits_came=True)
        await self._announce.spent(tx, balances)
        return posted

    async def _note_voids(
        self, tx: LedgerTx, intake: Intake, known: dict[UUID, list[Transfer]], posted: Posted
    ) -> None:
        """A void whose call is not posted is remembered before the calls of this batch are looked at."""
        for void in intake.voids:
            early = [id_ for id_ in void.ids if id_ not in known]
            await tx.add_voids(void.org_id, early)
            posted.voided_early += len(early)

    async def _fresh_debits(
        self, tx: LedgerTx, intake: Intake, known: dict[UUID, list[Transfer]], orgs: set[UUID], posted: Posted
    ) -> list[Debit]:
        """The debits that are to be posted now; the others are absorbed, dropped (voided) or put aside."""
        fresh: dict[UUID, Debit] = {}
        parked: list[Parked] = []
        earliest_ms, latest_ms = await self._oldest(tx), self._clock.now_ms() + _FUTURE_MS_MAX
        voided = await tx.voided([debit.id for debit in intake.debits])
        for debit in intake.debits:
            legs, twin, reason = known.get(debit.id), fresh.get(debit.id), None
            if debit.id in voided:
                posted.dropped += 1
            elif legs is not None or twin is not None:
                is_same = is_same_debit(debit, legs) if legs is not None else twin is not None and is_twin(debit, twin)
                posted.duplicates += is_same
                reason = None if is_same else PostError.OTHER_PAYLOAD
            elif not earliest_ms <= id_ms(debit.id) <= latest_ms:
                reason = PostError.OUT_OF_RANGE
            elif debit.org_id not in orgs:
                reason = PostError.UNKNOWN_ORGANIZATION
            elif debit.amount > 0:
                fresh[debit.id] = debit
            elif debit.code is Code.CALL or debit.amount < 0:  # a batch of 0 only closes its lease
                reason = PostError.MALFORMED
            if reason is not None:
                parked.append(_parked(debit.id, reason, debit))
        await tx.park(parked)
        posted.refused += [one.reason for one in parked]
        return list(fresh.values())

    async def _give_back(
        self, tx: LedgerTx, intake: Intake, known: dict[UUID, list[Transfer]], posted: Posted, now: datetime
    ) -> set[UUID]:
        """Voids of calls posted earlier, and refunds; answers whose credits came back."""
        came_back: set[UUID] = set()
        for void in intake.voids:
            for id_ in void.ids:
                legs = known.get(id_)
                if legs is None:
                    continue
                rows = await self._reverse.void(tx, void.org_id, legs, now=now)
                posted.count_rows(rows, now_ms=self._clock.now_ms())
                posted.voided_late += bool(rows)
                if rows:
                    came_back.add(void.org_id)
        for refund in intake.refunds:
            outcome = await self._reverse.refund(tx, refund, now=now)
            if isinstance(outcome, PostError):
                posted.refused.append(outcome)
            elif outcome:
                posted.count_rows(outcome, now_ms=self._clock.now_ms())
                came_back.add(refund.org_id)
            else:
                posted.duplicates += 1
        return came_back

    async def _oldest(self, tx: LedgerTx) -> int:
        if self._oldest_ms is None:  # partitions are detached months after their time: once per process will do
            self._oldest_ms = await tx.oldest_ms()
        return self._oldest_ms


def _balances_after(buckets: Sequence[Bucket], allocation: Allocation, now: datetime) -> dict[UUID, int]:
    balances: dict[UUID, int] = {}
    for bucket in buckets:
        part = allocation.balances[bucket.id] if bucket.is_active(now) else 0
        balances[bucket.org_id] = balances.get(bucket.org_id, 0) + part
    return balances


def _parked(id_: UUID, reason: PostError, payload: msgspec.Struct) -> Parked:
    return Parked(id=id_, reason=reason, payload=msgspec.json.encode(payload))
