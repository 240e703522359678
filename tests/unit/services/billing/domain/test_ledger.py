"""Which bucket pays."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.bucket import Bucket, BucketKind
from services.billing.domain.lease import Holder, Lease, LeaseState
from services.billing.domain.ledger import (
    CALLS,
    TAKEDOWNS,
    WAIVED,
    Code,
    Debit,
    PostError,
    Transfer,
    Waiver,
    allocate,
    is_same_debit,
    is_twin,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORG, LEASE = uuid.UUID(int=1), uuid.UUID(int=2)
MONTH = timedelta(days=30)


def a_bucket(id_: int = 1000, balance: int = 100, **changed: object) -> Bucket:
    return msgspec.structs.replace(
        Bucket(id=id_, org_id=ORG, kind=BucketKind.PLAN, starts_at=NOW - MONTH, ends_at=NOW + MONTH, credits=balance),
        **changed,
    )


def a_lease(amount: int = 100, **changed: object) -> Lease:
    until = NOW + timedelta(seconds=30)
    lease = Lease(
        id=LEASE, org_id=ORG, holder=Holder.COUNTER, ref="epoch", amount=amount, burn_at=until, not_after=until
    )
    return msgspec.structs.replace(lease, **changed)


def a_debit(amount: int = 1, number: int = 9, **changed: object) -> Debit:
    debit = Debit(
        id=uuid.UUID(int=number), code=Code.CALL, amount=amount, org_id=ORG, lease_id=LEASE, key_id=ORG, route="r"
    )
    return msgspec.structs.replace(debit, **changed)


def paid(rows: list[Transfer]) -> list[tuple[int, int, int]]:
    """(bucket, leg, amount)."""
    return [(row.debit_account, row.leg, row.amount) for row in rows]


def test_a_call_is_paid_from_its_bucket() -> None:
    allocation = allocate([a_bucket()], {LEASE: a_lease()}, [a_debit(2)], now=NOW)

    (row,) = allocation.rows
    assert (row.code, row.debit_account, row.credit_account, row.amount) == (Code.CALL, 1000, CALLS, 2)
    assert (row.lease_id, row.key_id, row.route) == (LEASE, ORG, "r")
    assert allocation.balances == {1000: 98}


def test_a_batch_earns_for_takedowns() -> None:
    allocation = allocate([a_bucket()], {LEASE: a_lease()}, [a_debit(2, code=Code.BATCH)], now=NOW)

    assert [(row.code, row.credit_account) for row in allocation.rows] == [(Code.BATCH, TAKEDOWNS)]


def test_what_ends_first_burns_first_and_a_debit_may_need_two_buckets() -> None:
    topup = a_bucket(1000, 50, kind=BucketKind.TOPUP, ends_at=None)
    promo = a_bucket(1002, 2, kind=BucketKind.PROMO, ends_at=NOW + timedelta(days=1))
    plan = a_bucket(1001, 3)

    allocation = allocate([topup, plan, promo], {LEASE: a_lease()}, [a_debit(7), a_debit(1, 10)], now=NOW)

    assert paid(allocation.rows) == [(1002, 0, 2), (1001, 1, 3), (1000, 2, 2), (1000, 0, 1)]


def test_the_lease_decides_the_period_not_the_moment_of_posting() -> None:
    ended = a_bucket(1000, 5, ends_at=NOW)
    current = a_bucket(1001, 100, starts_at=NOW, ends_at=NOW + MONTH)
    late = NOW + timedelta(minutes=5)

    allocation = allocate([ended, current], {LEASE: a_lease(burn_at=NOW, not_after=NOW)}, [a_debit(4)], now=late)

    assert paid(allocation.rows) == [(1000, 0, 4)]


def test_a_bucket_that_begins_at_the_lease_s_end_does_not_pay_while_others_can() -> None:
    begins = a_bucket(1000, 100, starts_at=NOW, ends_at=NOW + timedelta(days=1))
    own = a_bucket(1001, 1, ends_at=NOW)

    allocation = allocate([begins, own], {LEASE: a_lease(burn_at=NOW, not_after=NOW)}, [a_debit(2)], now=NOW)

    assert paid(allocation.rows) == [(1001, 0, 1), (1000, 1, 1)]  # the last resort before waiving


def test_a_bucket_that_has_not_begun_or_is_closed_never_pays() -> None:
    future = a_bucket(1000, 100, starts_at=NOW + timedelta(seconds=1))
    closed = a_bucket(1001, 100, is_closed=True)

    allocation = allocate([future, closed], {LEASE: a_lease(burn_at=NOW)}, [a_debit(2)], now=NOW)

    assert allocation.waived == [(Waiver.NO_CREDITS, 2)]
    assert [(row.code, row.debit_account, row.credit_account) for row in allocation.rows] == [(90, WAIVED, CALLS)]


@pytest.mark.parametrize(
    ("lease", "reason"),
    [
        (a_lease(state=LeaseState.FINAL, amount=3, posted=3), Waiver.LEASE_FINAL),
        (a_lease(amount=5, posted=4), Waiver.LEASE_OVERDRAWN),
        (a_lease(amount=1), Waiver.LEASE_OVERDRAWN),
    ],
)
def test_what_its_lease_does_not_hold_is_waived_whole(lease: Lease, reason: Waiver) -> None:
    allocation = allocate([a_bucket()], {LEASE: lease}, [a_debit(2)], now=NOW)

    assert allocation.waived == [(reason, 2)]
    assert paid(allocation.rows) == [(WAIVED, 0, 2)]
    assert allocation.balances == {1000: 100}


def test_a_closing_lease_still_pays() -> None:
    allocation = allocate([a_bucket()], {LEASE: a_lease(2, state=LeaseState.CLOSING)}, [a_debit(2)], now=NOW)

    assert paid(allocation.rows) == [(1000, 0, 2)]


def test_unknown_and_foreign_leases_are_refused() -> None:
    foreign = a_lease(org_id=uuid.UUID(int=99))

    allocation = allocate([a_bucket()], {LEASE: foreign}, [a_debit(), a_debit(lease_id=ORG)], now=NOW)

    assert [reason for _, reason in allocation.refused] == [PostError.FOREIGN_LEASE, PostError.UNKNOWN_LEASE]
    assert allocation.rows == []


@given(
    balances=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    amounts=st.lists(st.integers(1, 10), max_size=30),
    leased=st.integers(0, 200),
)
def test_nothing_is_overdrawn_and_every_debit_is_accounted_for(
    balances: list[int], amounts: list[int], leased: int
) -> None:
    buckets = [a_bucket(1000 + number, balance) for number, balance in enumerate(balances)]
    debits = [a_debit(amount, 100 + number) for number, amount in enumerate(amounts)]

    allocation = allocate(buckets, {LEASE: a_lease(leased)}, debits, now=NOW)

    for debit in debits:
        legs = [row for row in allocation.rows if row.id == debit.id]
        assert sum(row.amount for row in legs) == debit.amount
        assert [row.leg for row in legs] == list(range(len(legs)))
        assert is_same_debit(debit, legs)
    charged = sum(row.amount for row in allocation.rows if row.code == Code.CALL)
    assert charged <= min(leased, sum(balances))
    assert all(balance >= 0 for balance in allocation.balances.values())
    assert sum(allocation.balances.values()) == sum(balances) - charged


@pytest.mark.parametrize("changed", [{"org_id": uuid.UUID(int=5)}, {"amount": 3}, {"code": Code.BATCH}])
def test_another_organization_amount_or_meaning_is_another_debit(changed: dict[str, object]) -> None:
    debit = a_debit(2)
    legs = allocate([a_bucket()], {LEASE: a_lease()}, [debit], now=NOW).rows

    assert is_same_debit(debit, legs)
    assert is_twin(debit, debit)
    other = msgspec.structs.replace(debit, **changed)
    assert not is_same_debit(other, legs)
    assert not is_twin(other, debit)


@pytest.mark.parametrize(("code", "is_same"), [(Code.CALL, True), (Code.BATCH, False)])
def test_a_call_taken_up_again_is_the_same_debit_under_another_lease_and_a_batch_is_not(
    code: Code, is_same: bool
) -> None:
    debit = msgspec.structs.replace(a_debit(2), code=code)
    legs = allocate([a_bucket()], {LEASE: a_lease()}, [debit], now=NOW).rows
    again = msgspec.structs.replace(debit, lease_id=uuid.UUID(int=5), key_id=uuid.UUID(int=6))

    assert is_same_debit(again, legs) is is_same
    assert is_twin(again, debit) is is_same
