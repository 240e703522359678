"""Giving back: refunds of takedown batches and voids of calls whose client was not shown a 2xx. Pure.

What was paid is unwound leg by leg, the last leg first, into the buckets it came from; the burn order is not asked again. A
bucket that has ended cannot take credits back usefully, so a refund bucket takes its part. A refund has no refund.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from libs.common.ids import derived_id, id_ms
from services.billing.domain.ledger import CALLS, TAKEDOWNS, Code, PostError, Transfer


def void_id(call_id: UUID) -> UUID:
    """The transfer id of the void of `call_id`: beside it in time, the same however often it is asked for."""
    return derived_id(id_ms(call_id), f"void:{call_id}")


def refund_problem(org_id: UUID, amount: int, debit: Sequence[Transfer], refunded: int) -> PostError | None:
    """Why `amount` may not be refunded from the `debit` whose legs these are and of which `refunded` went back already."""
    if not debit:
        return PostError.REFUND_WITHOUT_DEBIT
    if debit[0].org_id != org_id or debit[0].code not in (Code.BATCH, Code.WAIVED):
        return PostError.REFUND_OF_OTHER
    paid = sum(leg.amount for leg in debit if leg.code == Code.BATCH)  # what was waived was not paid
    return PostError.REFUND_EXCEEDS_DEBIT if amount <= 0 or refunded + amount > paid else None


def unwind(legs: Sequence[Transfer], already: int, amount: int) -> list[tuple[int, int]]:
    """(bucket, credits) to give back `amount` of `legs`, of which `already` was given back before: last leg first."""
    parts: list[tuple[int, int]] = []
    for leg in sorted(legs, key=lambda leg: leg.leg, reverse=True):
        skipped = min(already, leg.amount)
        already -= skipped
        part = min(leg.amount - skipped, amount)
        if part:
            parts.append((leg.debit_account, part))
            amount -= part
    return parts


def refund_rows(
    refund_id: UUID, debit: Sequence[Transfer], already: int, amount: int, *, heirs: Mapping[int, int], memo: str
) -> list[Transfer]:
    """The rows of a refund. `heirs`: the bucket that takes the place of one that has ended."""
    paid = [leg for leg in debit if leg.code == Code.BATCH]
    return [
        Transfer(
            id=refund_id,
            leg=number,
            code=Code.REFUND,
            amount=part,
            org_id=debit[0].org_id,
            debit_account=TAKEDOWNS,
            credit_account=heirs.get(bucket, bucket),
            refunds_id=debit[0].id,
            memo=memo or None,
        )
        for number, (bucket, part) in enumerate(unwind(paid, already, amount))
    ]


def void_rows(call: Sequence[Transfer], *, heirs: Mapping[int, int]) -> list[Transfer]:
    """The rows that undo a posted call; none if the call was waived."""
    paid = [leg for leg in call if leg.code == Code.CALL]
    first = call[0]
    return [
        Transfer(
            id=void_id(first.id),
            leg=number,
            code=Code.VOID,
            amount=part,
            org_id=first.org_id,
            debit_account=CALLS,
            credit_account=heirs.get(bucket, bucket),
            refunds_id=first.id,
            key_id=first.key_id,
            model_id=first.model_id,
            route=first.route,
        )
        for number, (bucket, part) in enumerate(unwind(paid, 0, sum(leg.amount for leg in paid)))
    ]


def refund_bucket_origin(org_id: UUID, period_start_ms: int) -> UUID:
    """The origin of an organization's refund bucket of a period: one bucket for all that comes back in it."""
    return derived_id(period_start_ms, f"refund:{org_id}:{period_start_ms}")
