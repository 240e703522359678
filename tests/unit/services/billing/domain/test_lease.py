"""The rules of leases, to their borders."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.bucket import Bucket, BucketKind
from services.billing.domain.lease import (
    BATCH_REF,
    Holder,
    Lease,
    LeaseRules,
    LeaseState,
    batch_burn_at,
    closing,
    free_credits,
    grant_of,
    lease_end,
    low_water,
    next_slab,
    shrunk,
)
from services.billing.entry.timers import LEASE_EXPIRY_SECONDS
from services.edge.settings import FENCE_SECONDS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

RULES = LeaseRules()


def a_bucket(balance: int = 100, *, starts_s: float = -60, ends_s: float | None = 3600) -> Bucket:
    ends_at = None if ends_s is None else NOW + timedelta(seconds=ends_s)
    starts_at = NOW + timedelta(seconds=starts_s)
    return Bucket(
        id=1000, org_id=uuid.UUID(int=1), kind=BucketKind.PLAN, starts_at=starts_at, ends_at=ends_at, credits=balance
    )


def a_lease(amount: int = 50, **changed: object) -> Lease:
    end = NOW + timedelta(seconds=30)
    lease = Lease(
        id=uuid.UUID(int=2), org_id=uuid.UUID(int=1), holder=Holder.COUNTER, ref="epoch", amount=amount, burn_at=end,
        not_after=end,
    )  # fmt: skip
    return msgspec.structs.replace(lease, **changed)


def test_free_is_the_active_balance_less_everything_that_is_set_aside() -> None:
    buckets = [a_bucket(100), a_bucket(7, ends_s=0), a_bucket(9, starts_s=1), a_bucket(20, ends_s=None)]
    leases = [
        a_lease(30, posted=10),
        a_lease(5, state=LeaseState.CLOSING),
        a_lease(8, posted=8, state=LeaseState.FINAL),
    ]

    assert free_credits(buckets, leases, NOW) == 120 - 20 - 5
    assert free_credits(buckets, [a_lease(500)], NOW) == 0


def test_a_minute_after_the_last_call_nothing_is_reserved_whoever_is_away() -> None:
    timers = 2 * LEASE_EXPIRY_SECONDS  # it is closed by one run, and made final by another
    assert RULES.life_s + RULES.skew_s + RULES.fence_s + timers <= 60
    assert FENCE_SECONDS_MAX + RULES.skew_s <= RULES.fence_s, "no 2xx later, also by a clock that jumps"


@pytest.mark.parametrize(("ends_s", "life_s"), [(None, 12), (13, 12), (12, 12), (7, 7), (0.5, 0.5)])
def test_a_lease_never_crosses_the_end_of_a_bucket(ends_s: float | None, life_s: float) -> None:
    assert lease_end([a_bucket(), a_bucket(0, ends_s=ends_s)], NOW, RULES) == NOW + timedelta(seconds=life_s)


def test_a_batch_is_paid_by_what_was_active_when_it_opened() -> None:
    burn_at = batch_burn_at(NOW)

    assert a_bucket(starts_s=0).pays_for(burn_at)
    assert a_bucket(ends_s=0.000001).pays_for(burn_at)
    assert not a_bucket(ends_s=0).pays_for(burn_at)
    assert not a_bucket(starts_s=0.000001).pays_for(burn_at)


@pytest.mark.parametrize(
    ("slab", "since_s", "expected"),
    [(50, 4.9, 100), (100, 5, 100), (100, 20, 100), (100, 20.1, 50), (50, None, 50), (400, None, 200),
     (80_000, 0, 100_000), (60, 99, 50)],
)  # fmt: skip
def test_slabs_double_while_hot_and_halve_when_cold(slab: int, since_s: float | None, expected: int) -> None:
    assert next_slab(slab, since_growth_s=since_s, rules=RULES) == expected


@pytest.mark.parametrize(
    ("free", "cost", "granted"), [(1000, 1, 50), (100, 1, 50), (99, 1, 99), (0, 1, 0), (1000, 80, 80), (120, 130, 120)]
)
def test_a_slab_is_granted_or_everything_when_less_than_two_are_left(free: int, cost: int, granted: int) -> None:
    assert grant_of(free, slab=50, cost=cost) == granted


def test_the_edge_asks_ahead_only_while_there_is_more() -> None:
    assert (low_water(100, rest=1), low_water(100, rest=0)) == (25, 0)


def test_an_answered_close_returns_the_rest_and_waits_for_the_fence() -> None:
    lease = closing(a_lease(50, posted=10), returned=35, at=NOW, rules=RULES)

    assert (lease.state, lease.amount, lease.outstanding) == (LeaseState.CLOSING, 15, 5)
    assert lease.final_after == NOW + timedelta(seconds=RULES.fence_s)


def test_an_unanswered_close_waits_for_the_lease_s_own_end_as_well() -> None:
    lease = closing(a_lease(50), returned=None, at=NOW, rules=RULES)

    assert (lease.amount, lease.final_after) == (50, NOW + timedelta(seconds=30 + RULES.skew_s + RULES.fence_s))


def test_a_batch_that_nobody_ended_waits_for_the_queue_only() -> None:
    batch = a_lease(5, holder=Holder.BATCH, ref=BATCH_REF, not_after=None)

    assert closing(batch, returned=None, at=NOW, rules=RULES).final_after == NOW


@given(st.integers(0, 100), st.integers(0, 100), st.integers(-5, 200))
def test_a_counter_never_hands_back_more_than_is_outstanding(amount: int, posted: int, returned: int) -> None:
    lease = shrunk(a_lease(max(amount, posted), posted=posted), returned)

    assert posted <= lease.amount <= max(amount, posted)


def test_impossible_rules_are_refused() -> None:
    for changed in ({"fence_s": 0.0}, {"skew_s": -1.0}, {"slab_min": 0}, {"slab_max": 1}):
        with pytest.raises(ValueError, match="out of range"):
            LeaseRules(**changed)
