"""Buckets: an organization's credits of one origin and one end date, and the order in which they burn."""

import enum
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec


class BucketKind(enum.IntEnum):
    """Where a bucket's credits come from."""

    PLAN = 1
    TOPUP = 2
    PROMO = 3
    REFUND = 4


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One account of credits. Active in [starts_at, ends_at); `ends_at` None = never ends."""

    id: int
    org_id: UUID
    kind: BucketKind
    starts_at: datetime
    ends_at: datetime | None = None
    credits: int = 0  # ever granted
    debits: int = 0  # ever taken
    is_closed: bool = False

    @property
    def balance(self) -> int:
        return self.credits - self.debits

    def is_active(self, at: datetime) -> bool:
        return not self.is_closed and self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def pays_for(self, burn_at: datetime) -> bool:
        """Whether a lease that burns at `burn_at` is paid from this bucket first."""
        return not self.is_closed and self.starts_at < burn_at and (self.ends_at is None or burn_at <= self.ends_at)


def burn_order(bucket: Bucket) -> tuple[bool, float, int]:
    """Sort key: what ends first burns first, what never ends burns last; so plan credits go before top-ups."""
    return (bucket.ends_at is None, bucket.ends_at.timestamp() if bucket.ends_at else 0.0, bucket.id)


def balance_at(buckets: Iterable[Bucket], at: datetime) -> int:
    """The balance: the sum over the buckets active at `at`."""
    return sum(bucket.balance for bucket in buckets if bucket.is_active(at))


def earliest_end(buckets: Iterable[Bucket], at: datetime) -> datetime | None:
    """When the first of the buckets active at `at` ends; None if none ever does."""
    ends = [bucket.ends_at for bucket in buckets if bucket.is_active(at) and bucket.ends_at is not None]
    return min(ends, default=None)
