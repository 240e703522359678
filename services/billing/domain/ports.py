"""What the use cases need from outside: the ledger's transactions, the counter of a lease, a way to wait."""

import enum
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from libs.common.contracts.envelope import Message
from services.billing.domain.bucket import Bucket, BucketKind
from services.billing.domain.lease import Lease
from services.billing.domain.ledger import PostError, Transfer
from services.billing.domain.plan import Plan, Subscription

Sleep = Callable[[float], Awaitable[None]]


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """An organization as the ledger knows it."""

    org_id: UUID
    is_frozen: bool = False
    slab: int
    version: int


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be posted: the id it was meant to have, why, and the message as it came."""

    id: UUID
    reason: PostError
    payload: bytes


class LedgerTx(Protocol):
    """One transaction. Reads after `lock` see everything that others committed before it."""

    async def lock(self, org_ids: Collection[UUID]) -> dict[UUID, Organization]:
        """Lock organizations, in the order of their ids; those unknown are absent. May wait for another transaction."""

    async def oldest_ms(self) -> int:
        """The smallest id time that has a place in the ledger, Unix milliseconds."""

    async def add_organization(self, org_id: UUID) -> None:
        """Make the organization's row if there is none."""

    async def set_slab(self, org_id: UUID, slab: int) -> None:
        """Remember the size of the next slab."""

    async def raise_versions(self, org_ids: Collection[UUID]) -> dict[UUID, int]:
        """The next version number of each organization's announcements."""

    async def buckets(self, org_ids: Collection[UUID]) -> list[Bucket]:
        """All buckets that are not closed."""

    async def buckets_by_id(self, ids: Collection[int]) -> dict[int, Bucket]:
        """These buckets, closed ones too."""

    async def add_bucket(
        self, org_id: UUID, kind: BucketKind, origin: UUID, starts_at: datetime, ends_at: datetime | None
    ) -> int:
        """The id of the bucket of that origin, made if there is none."""

    async def end_buckets(self, ids: Collection[int], at: datetime) -> None:
        """Let buckets end at `at`."""

    async def close_buckets(self, ids: Collection[int], at: datetime) -> None:
        """Note that nothing will ever be paid from these buckets again."""

    async def live_leases(self, org_id: UUID) -> list[Lease]:
        """All leases of the organization that are not final."""

    async def leases(self, ids: Collection[UUID]) -> dict[UUID, Lease]:
        """These leases, in any state."""

    async def add_lease(self, lease: Lease) -> None:
        """Write a new lease."""

    async def update_lease(self, lease: Lease) -> None:
        """Write amount, state and `final_after` of a lease read under the lock."""

    async def finish_leases(self, org_of: Mapping[UUID, UUID], *, closing_only: bool, at: datetime) -> int:
        """Make leases (id → its organization, else it is left alone) final, keeping what they have posted (`closing_only`: skip those that still grant); how many were
        changed. Doing it again changes nothing.
        """

    async def transfers(self, ids: Collection[UUID]) -> dict[UUID, list[Transfer]]:
        """The rows of these operations, by id, legs in order."""

    async def refunded(self, debit_id: UUID) -> int:
        """How much of a debit was refunded so far."""

    async def granted(self, org_id: UUID, since: datetime) -> int:
        """The plan credits granted to the organization since the period's start `since`."""

    async def append(self, rows: Sequence[Transfer]) -> None:
        """Add rows; balances and leases follow. All or nothing: raises RacedPosting if one of the ids exists by now."""

    async def voided(self, ids: Collection[UUID]) -> set[UUID]:
        """Which of these calls were voided before their debit arrived."""

    async def add_voids(self, org_id: UUID, ids: Collection[UUID]) -> None:
        """Remember voided calls whose debit has not arrived. Repeating it is safe."""

    async def park(self, parked: Sequence[Parked]) -> None:
        """Put aside what could not be posted. Repeating it is safe."""

    async def plan(self, code: str) -> Plan | None:
        """A plan, or None."""

    async def subscription(self, org_id: UUID) -> Subscription | None:
        """The organization's subscription, or None."""

    async def subscriptions(self, org_ids: Collection[UUID]) -> dict[UUID, Subscription]:
        """The subscriptions of those that have one."""

    async def set_subscription(self, subscription: Subscription) -> None:
        """Write the organization's subscription."""

    async def add_low_warnings(self, org_id: UUID, period_start: datetime, percents: Collection[int]) -> list[int]:
        """Note warnings as given; answers those that were not given before."""

    async def say(self, message: Message, *, org_id: UUID) -> None:
        """Send `message` once this transaction is committed (outbox)."""

    async def say_all(self, messages: Sequence[tuple[UUID, Message]]) -> None:
        """The same of several, each with its organization."""


class Ledger(Protocol):
    """The ledger itself."""

    def transaction(self) -> AbstractAsyncContextManager[LedgerTx]:
        """Committed at the block's end, undone when it raises. Raises Unavailable when the database is away."""

    async def leases_to_close(self, *, slabs_before: datetime, batches_before: datetime, limit: int) -> list[Lease]:
        """Open leases: slabs whose `not_after` lies before the first time, batches opened before the second."""

    async def organizations_due(self, at: datetime, *, limit: int) -> list[UUID]:
        """Whose subscription is due at `at`, the longest due first."""

    async def organizations_to_close(self, at: datetime, *, limit: int) -> list[UUID]:
        """Who has buckets that ended by `at` and that no live lease burns from."""

    async def leases_to_finish(self, at: datetime, *, limit: int) -> list[Lease]:
        """Closing leases whose `final_after` has passed."""

    async def refunds_to_retry(self, since: datetime, *, limit: int) -> list[bytes]:
        """Parked refunds whose debit was not there, put aside since then and neither posted nor refused meanwhile."""


class Outcome(enum.Enum):
    """Of a step in the counter's store that did not do what it should."""

    REFUSED = "refused"  # certainly nothing was changed
    UNKNOWN = "unknown"  # no clean answer: it may have happened


class LeaseStore(Protocol):
    """The counters of slabs, in Redis. No step is ever repeated by the store."""

    async def check(self, ref: str) -> None:
        """Return if `ref` is the epoch of the Redis that this process sees. Raises LeaseStoreMismatch, Unavailable."""

    async def install(self, lease: Lease, credits_added: int, *, low: int, rest: int, is_new: bool) -> int | Outcome:
        """Give credits to the counter; answers how many it has now."""

    async def take(self, lease: Lease, *, close: bool) -> int | Outcome:
        """Take back what the counter has left (`close`: and remove it). REFUSED = this lease has no counter there."""
