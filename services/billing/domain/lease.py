"""Leases: credits set aside for a holder before they are spent. The rules; who keeps the counter is `store/`'s business.

Two holders. `COUNTER`: a slab for proxy calls, counted down in Redis (`ref` = its epoch) or in one edge's memory
(`ref` = `edge:<boot id>`), with a fixed end. `BATCH`: exactly what one takedown batch needs, ended by its debit.
Credits grow from Postgres to the counter and shrink back; a step of unknown outcome is never repeated, so it can strand
credits until the lease is final, but never duplicate them.
"""

import enum
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.billing.domain.bucket import Bucket, balance_at, earliest_end

EDGE_REF_PREFIX = "edge:"
BATCH_REF = "batch"


class Holder(enum.IntEnum):
    """Who spends the lease."""

    COUNTER = 1
    BATCH = 2


class LeaseState(enum.IntEnum):
    """OPEN grants; CLOSING grants nothing, its last debits are on their way; FINAL has returned what was left."""

    OPEN = 1
    CLOSING = 2
    FINAL = 3


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """One lease. `burn_at` decides which buckets pay for what is spent from it."""

    id: UUID
    org_id: UUID
    holder: Holder
    ref: str
    amount: int
    posted: int = 0
    state: LeaseState = LeaseState.OPEN
    burn_at: datetime
    not_after: datetime | None = None
    final_after: datetime | None = None

    @property
    def outstanding(self) -> int:
        """Credits that this lease still keeps from everybody else."""
        return 0 if self.state is LeaseState.FINAL else self.amount - self.posted

    @property
    def is_in_redis(self) -> bool:
        return self.holder is Holder.COUNTER and not self.ref.startswith(EDGE_REF_PREFIX)


class LeaseRules(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of the protocol. Tests shrink the times; their relations must hold (fence > the edge's own fence of 35 s).

    Life, skew, fence and two runs of the timer (1 s) are 59 s: a minute after the last call nothing is reserved (ADR 19).
    """

    life_s: float = 12.0  # a slab's life, fixed at opening
    grow_life_s: float = (
        6.0  # with less than this left, a lease is replaced instead of grown; `admission.lua` has it too
    )
    skew_s: float = 5.0  # how far this clock may run ahead of Redis' clock
    fence_s: float = 40.0  # usage a client saw as 2xx is in the ledger queue this long after its lease stopped granting
    marker_again_s: float = 60.0  # a closing lease that is still not final gets another marker
    batch_life_s: float = 86_400.0  # a batch lease that nobody ends is closed by time, with an alarm long before
    look_again_s: float = 0.2  # one more look before `credits in use` is said
    slab_min: int = 50
    slab_max: int = 100_000
    slab_edge: int = 10  # in an edge's memory, where nothing can be recalled
    hot_s: float = 5.0  # the last growth is younger: double the slab
    cold_s: float = 20.0  # older: halve it

    def __post_init__(self) -> None:
        if self.skew_s < 0 or self.fence_s <= 0 or self.slab_min < 1 or self.slab_max < self.slab_min:
            raise ValueError("lease rules out of range")


def free_credits(buckets: Iterable[Bucket], leases: Iterable[Lease], at: datetime) -> int:
    """What may still be leased at `at`: the balance less all that is set aside, also by leases of an earlier period.

    A lease never outlives a bucket that is active when it opens, so every active bucket ends at or after it.
    """
    return max(0, balance_at(buckets, at) - sum(lease.outstanding for lease in leases))


def closable(buckets: Iterable[Bucket], leases: Iterable[Lease], at: datetime) -> list[Bucket]:
    """The buckets that have ended at `at` and from which no live lease (`leases`) can still burn: what they hold expires."""
    first = min((lease.burn_at for lease in leases if lease.state is not LeaseState.FINAL), default=None)
    return [
        bucket
        for bucket in buckets
        if not bucket.is_closed
        and bucket.ends_at is not None
        and bucket.ends_at <= at
        and (first is None or first > bucket.ends_at)
    ]


def lease_end(buckets: Iterable[Bucket], at: datetime, rules: LeaseRules) -> datetime:
    """When a counter's lease that opens at `at` stops granting: never across the end of a bucket, so that the lease, not
    a clock of the edge, decides the period a call belongs to.
    """
    end = at + timedelta(seconds=rules.life_s)
    first = earliest_end(buckets, at)
    return end if first is None else min(end, first)


def batch_burn_at(opened_at: datetime) -> datetime:
    """A batch is paid from the buckets active when it was opened: `starts_at <= opened_at < ends_at` is, in whole
    microseconds, `starts_at < burn_at <= ends_at`.
    """
    return opened_at + timedelta(microseconds=1)


def next_slab(slab: int, *, since_growth_s: float | None, rules: LeaseRules) -> int:
    """The slab's next size: doubled when the last growth was just now, halved when it was long ago."""
    if since_growth_s is not None and since_growth_s < rules.hot_s:
        slab *= 2
    elif since_growth_s is None or since_growth_s > rules.cold_s:
        slab //= 2
    return max(rules.slab_min, min(rules.slab_max, slab))


def grant_of(free: int, *, slab: int, cost: int) -> int:
    """How much to lease: a slab, or `cost` if that is more, and everything when less than two slabs are left."""
    return free if free < 2 * slab else min(free, max(slab, cost))


def low_water(slab: int, *, rest: int) -> int:
    """Below this the edge asks for more, ahead of need: a quarter slab, and 0 when there is nothing more to give."""
    return slab // 4 if rest > 0 else 0


def shrunk(lease: Lease, returned: int) -> Lease:
    """`lease` without the credits that its counter handed back (never more than are outstanding)."""
    returned = max(0, min(returned, lease.amount - lease.posted))
    return msgspec.structs.replace(lease, amount=lease.amount - returned)


def closing(lease: Lease, *, returned: int | None, at: datetime, rules: LeaseRules) -> Lease:
    """`lease` from now on grants nothing. `returned` is what its counter handed back, None when it gave no clean answer:
    then it may grant until its own end, by a clock up to the skew behind ours.
    """
    fence = timedelta(seconds=rules.fence_s)
    if returned is not None:
        lease, final_after = shrunk(lease, returned), at + fence
    elif lease.not_after is not None:
        final_after = lease.not_after + timedelta(seconds=rules.skew_s) + fence
    else:
        final_after = at  # a batch: nothing counts it down, its debit is the only thing that can still come
    return msgspec.structs.replace(lease, state=LeaseState.CLOSING, final_after=final_after)
