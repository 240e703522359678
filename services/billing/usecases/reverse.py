"""Give back what was paid: the void of a posted call, the refund of a batch. Inside the poster's transaction and lock."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.common.contracts.takedowns import BatchRefunded
from services.billing.domain.bucket import BucketKind
from services.billing.domain.ledger import Code, PostError, Transfer
from services.billing.domain.ports import LedgerTx, Parked
from services.billing.domain.posting import MEMO_LENGTH_MAX
from services.billing.domain.reversal import refund_bucket_origin, refund_problem, refund_rows, void_id, void_rows


class Reverse:
    """Unwinds recorded legs; whatever cannot be given back as asked is put aside whole, nothing is given back in part."""

    async def void(self, tx: LedgerTx, org_id: UUID, call: Sequence[Transfer], *, now: datetime) -> list[Transfer]:
        """Undo a posted call; no rows if that was done before, if it was waived, or if it is not this organization's."""
        first = call[0]
        if first.org_id != org_id or first.code not in (Code.CALL, Code.WAIVED) or first.route is None:
            await tx.park([Parked(id=first.id, reason=PostError.OTHER_PAYLOAD, payload=b"void of something else")])
            return []
        undone = void_id(first.id)
        if await tx.transfers([undone]):
            return []
        rows = void_rows(call, heirs=await self._heirs(tx, org_id, call, now))
        await tx.append(rows)
        return rows

    async def refund(self, tx: LedgerTx, refund: BatchRefunded, *, now: datetime) -> list[Transfer] | PostError:
        """Refund a batch; no rows if that was done before, the reason if it was put aside."""
        found = await tx.transfers([refund.refund_id, refund.batch_id])
        earlier = found.get(refund.refund_id)
        problem: PostError | None = None
        if earlier is not None:
            if _is_same_refund(refund, earlier):
                return []
            problem = PostError.OTHER_PAYLOAD
        debit = found.get(refund.batch_id, [])
        already = await tx.refunded(refund.batch_id)
        problem = problem or refund_problem(refund.org_id, refund.amount, debit, already)
        if problem is not None:
            await tx.park([Parked(id=refund.refund_id, reason=problem, payload=msgspec.json.encode(refund))])
            return problem
        heirs = await self._heirs(tx, refund.org_id, debit, now)
        memo = refund.memo[:MEMO_LENGTH_MAX]
        rows = refund_rows(refund.refund_id, debit, already, refund.amount, heirs=heirs, memo=memo)
        await tx.append(rows)
        return rows

    async def _heirs(self, tx: LedgerTx, org_id: UUID, legs: Sequence[Transfer], now: datetime) -> dict[int, int]:
        """For every bucket of `legs` that has ended: the refund bucket of the current period."""
        buckets = await tx.buckets_by_id({leg.debit_account for leg in legs if leg.code != Code.WAIVED})
        ended = [bucket.id for bucket in buckets.values() if not bucket.is_active(now)]
        if not ended:
            return {}
        subscription = await tx.subscription(org_id)
        has_period = subscription is not None and subscription.period_end > now
        if subscription is not None and has_period:
            start, end = subscription.period_start, subscription.period_end
        else:  # no period to end with: what is given back stays
            start, end = datetime.fromtimestamp(0, tz=now.tzinfo), None
        origin = refund_bucket_origin(org_id, int(start.timestamp() * 1000))
        heir = await tx.add_bucket(org_id, BucketKind.REFUND, origin, start, end)
        return dict.fromkeys(ended, heir)


def _is_same_refund(refund: BatchRefunded, legs: Sequence[Transfer]) -> bool:
    return (
        sum(leg.amount for leg in legs) == refund.amount
        and all(leg.org_id == refund.org_id and leg.refunds_id == refund.batch_id for leg in legs)
        and all(leg.code == Code.REFUND for leg in legs)
    )
