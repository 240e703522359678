"""The ledger's rows and the one decision of posting: which bucket pays for a debit. Pure; see `reversal.py` for what is
given back.

A transfer moves `amount` from the debit account to the credit account; a bucket is an account whose id is >= 1000. A debit
is never rejected: what no bucket can pay becomes a waived transfer, counted.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from services.billing.domain.bucket import Bucket, burn_order
from services.billing.domain.lease import Lease, LeaseState


class Code(enum.IntEnum):
    """What a transfer means (debit account → credit account). Only CALL and BATCH consume a lease."""

    GRANT = 1  # issuance → bucket
    TOPUP = 2  # purchases → bucket
    PROMO = 3  # issuance → bucket
    CALL = 10  # bucket → calls
    BATCH = 11  # bucket → takedowns
    REFUND = 20  # takedowns → bucket
    VOID = 21  # calls → bucket
    EXPIRE = 30  # bucket → expired
    CLAWBACK = 31  # bucket → chargebacks
    ADJUST = 40  # adjustments ↔ bucket
    WAIVED = 90  # waived → calls or takedowns


ISSUANCE: Final = 100
PURCHASES: Final = 101
CALLS: Final = 102
TAKEDOWNS: Final = 103
EXPIRED: Final = 104
ADJUSTMENTS: Final = 105
WAIVED: Final = 106
CHARGEBACKS: Final = 107
SYSTEM_ACCOUNTS_END: Final = 1000  # smaller ids are system accounts

_EARNER: Final = {Code.CALL: CALLS, Code.BATCH: TAKEDOWNS}


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable row. Legs of one id are one operation."""

    id: UUID
    leg: int = 0
    code: int
    amount: int
    org_id: UUID
    debit_account: int
    credit_account: int
    refunds_id: UUID | None = None
    lease_id: UUID | None = None
    key_id: UUID | None = None
    model_id: UUID | None = None
    route: str | None = None
    memo: str | None = None


class Debit(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be paid: a proxy call (CALL) or a takedown batch (BATCH)."""

    id: UUID
    code: Code
    amount: int
    org_id: UUID
    lease_id: UUID
    key_id: UUID | None = None
    model_id: UUID | None = None
    route: str | None = None
    memo: str | None = None


class Waiver(enum.StrEnum):
    """Why nobody pays."""

    LEASE_FINAL = "lease_final"  # the usage came after its lease had returned everything
    LEASE_OVERDRAWN = "lease_overdrawn"  # must never happen: more was spent than leased
    NO_CREDITS = "no_credits"  # no bucket had them any more (a claw-back, for instance)


class PostError(enum.StrEnum):
    """Why something is not posted at all but put aside for a person."""

    UNKNOWN_LEASE = "unknown_lease"
    FOREIGN_LEASE = "foreign_lease"
    UNKNOWN_ORGANIZATION = "unknown_organization"
    OUT_OF_RANGE = "id_out_of_range"
    OTHER_PAYLOAD = "exists_with_different_payload"
    REFUND_WITHOUT_DEBIT = "refund_without_debit"
    REFUND_EXCEEDS_DEBIT = "refund_exceeds_debit"
    REFUND_OF_OTHER = "refund_of_something_else"
    MALFORMED = "malformed"


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """What `allocate` decided. `balances` are the buckets' balances after the rows."""

    rows: list[Transfer]
    waived: list[tuple[Waiver, int]]
    refused: list[tuple[Debit, PostError]]
    balances: dict[int, int]


def allocate(
    buckets: Iterable[Bucket], leases: Mapping[UUID, Lease], debits: Sequence[Debit], *, now: datetime
) -> Allocation:
    """Turn `debits`, in their order, into rows. `buckets` are all unclosed ones of the organizations concerned, `leases`
    those the debits name; ids that the ledger already knows must have been taken out before.
    """
    purse = _Purse(buckets)
    left = {lease.id: lease.outstanding for lease in leases.values()}
    result = Allocation(rows=[], waived=[], refused=[], balances=purse.balances)
    for debit in debits:
        lease = leases.get(debit.lease_id)
        if lease is None:
            result.refused.append((debit, PostError.UNKNOWN_LEASE))
            continue
        if lease.org_id != debit.org_id:
            result.refused.append((debit, PostError.FOREIGN_LEASE))
            continue
        if debit.amount > left[lease.id]:
            is_final = lease.state is LeaseState.FINAL
            result.waived.append((Waiver.LEASE_FINAL if is_final else Waiver.LEASE_OVERDRAWN, debit.amount))
            result.rows.append(_row(debit, 0, Code.WAIVED, debit.amount, WAIVED))
            continue
        leg, owed = 0, debit.amount
        for bucket_id in purse.order(lease, now):
            part = purse.take(bucket_id, owed)
            if part:
                result.rows.append(_row(debit, leg, debit.code, part, bucket_id))
                leg, owed = leg + 1, owed - part
            if not owed:
                break
        if owed:
            result.waived.append((Waiver.NO_CREDITS, owed))
            result.rows.append(_row(debit, leg, Code.WAIVED, owed, WAIVED))
        left[lease.id] -= debit.amount - owed
    return result


class _Purse:
    """The balances of all buckets while rows are being made, and the burn order per lease (computed once each)."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        self._of: dict[UUID, list[Bucket]] = {}
        self.balances: dict[int, int] = {}
        self._orders: dict[UUID, list[int]] = {}
        for bucket in sorted(buckets, key=burn_order):
            self.balances[bucket.id] = bucket.balance
            self._of.setdefault(bucket.org_id, []).append(bucket)

    def order(self, lease: Lease, now: datetime) -> list[int]:
        """The lease's own buckets, then, so that a debit is waived only as the last resort, any other that has begun."""
        order = self._orders.get(lease.id)
        if order is None:
            mine = self._of.get(lease.org_id, [])
            own = [bucket.id for bucket in mine if bucket.pays_for(lease.burn_at)]
            others = [
                bucket.id
                for bucket in mine
                if not bucket.pays_for(lease.burn_at) and bucket.starts_at <= now and not bucket.is_closed
            ]
            order = self._orders[lease.id] = own + others
        return order

    def take(self, bucket_id: int, wanted: int) -> int:
        part = min(wanted, self.balances[bucket_id])
        self.balances[bucket_id] -= part
        return part


def _row(debit: Debit, leg: int, code: Code, amount: int, payer: int) -> Transfer:
    return Transfer(
        id=debit.id,
        leg=leg,
        code=int(code),
        amount=amount,
        org_id=debit.org_id,
        debit_account=payer,
        credit_account=_EARNER[debit.code],
        lease_id=debit.lease_id,
        key_id=debit.key_id,
        model_id=debit.model_id,
        route=debit.route,
        memo=debit.memo,
    )


def is_same_debit(debit: Debit, legs: Sequence[Transfer]) -> bool:
    """Whether `legs`, found under the debit's id, are that debit: same organization, meaning and amount; of a batch the same
    lease too. A call that is taken up again under its id was admitted anew, and names the lease of that day.
    """
    return (
        sum(leg.amount for leg in legs) == debit.amount
        and all(leg.org_id == debit.org_id and _is_same_lease(debit, leg.lease_id) for leg in legs)
        and all(leg.code in (debit.code, Code.WAIVED) and leg.credit_account == _EARNER[debit.code] for leg in legs)
    )


def is_twin(debit: Debit, other: Debit) -> bool:
    """The same of two debits with one id, neither of them posted."""
    return (
        (debit.org_id, debit.code, debit.amount) == (other.org_id, other.code, other.amount)
        and _is_same_lease(debit, other.lease_id)
    )  # fmt: skip


def _is_same_lease(debit: Debit, lease_id: UUID | None) -> bool:
    return debit.code is Code.CALL or debit.lease_id == lease_id
