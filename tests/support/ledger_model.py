"""Billing's ports in memory: a ledger, and the counters of leases with every fault a Redis can have.

The rules of the schema (balances by trigger, CHECK constraints, one row per id) hold here as they do there; the contract suite
runs on both. Nothing suspends, so `run` drives a coroutine without an event loop.
"""

import contextlib
import copy
import uuid
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from libs.common.contracts.envelope import Message
from libs.common.ids import id_ms
from services.billing.domain.bucket import Bucket, BucketKind
from services.billing.domain.errors import LeaseStoreMismatch, RacedPosting
from services.billing.domain.lease import Holder, Lease, LeaseState, closable
from services.billing.domain.ledger import SYSTEM_ACCOUNTS_END, Code, PostError, Transfer
from services.billing.domain.plan import Plan, Subscription
from services.billing.domain.ports import Organization, Outcome, Parked

T = TypeVar("T")

PLANS = {
    code: Plan(code=code, version=1, monthly_credits=monthly, per_minute=rpm, per_day=50_000, is_open=is_open)
    for code, monthly, rpm, is_open in [
        ("free", 100, 10, True),
        ("basic", 1_000, 60, True),
        ("pro", 5_000, 300, True),
        ("whole", 9_000, 900, False),
    ]
}


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")


@dataclass
class ModelClock:
    """A clock that stands still until it is moved."""

    at: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)
    _ids: int = 0

    def skip(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.at

    def now_ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    def stopwatch_ms(self) -> int:
        return self.now_ms()

    def uuid7(self) -> uuid.UUID:
        """An id of this moment; the same in every run."""
        self._ids += 1
        return uuid.UUID(int=self.now_ms() << 80 | 7 << 76 | 2 << 62 | self._ids)


@dataclass
class _State:
    orgs: dict[uuid.UUID, Organization] = field(default_factory=dict)
    buckets: dict[int, Bucket] = field(default_factory=dict)
    origins: dict[tuple[uuid.UUID, int, uuid.UUID], int] = field(default_factory=dict)
    leases: dict[uuid.UUID, Lease] = field(default_factory=dict)
    opened_at: dict[uuid.UUID, datetime] = field(default_factory=dict)
    transfers: dict[uuid.UUID, list[Transfer]] = field(default_factory=dict)
    voids: set[uuid.UUID] = field(default_factory=set)
    parked: dict[tuple[uuid.UUID, PostError], bytes] = field(default_factory=dict)
    subscriptions: dict[uuid.UUID, Subscription] = field(default_factory=dict)
    warnings: set[tuple[uuid.UUID, datetime, int]] = field(default_factory=set)
    said: list[Message] = field(default_factory=list)


class MemoryLedger:
    """The ledger in memory; one transaction at a time, undone when it raises."""

    def __init__(self, clock: ModelClock) -> None:
        self.clock = clock
        self.state = _State()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryTx"]:
        before = {name: copy.copy(value) for name, value in vars(self.state).items()}
        before["transfers"] = {id_: list(legs) for id_, legs in self.state.transfers.items()}
        try:
            yield MemoryTx(self.state, self.clock)
        except BaseException:
            vars(self.state).update(before)
            raise

    async def leases_to_close(self, *, slabs_before: datetime, batches_before: datetime, limit: int) -> list[Lease]:
        return [
            lease
            for lease in self.state.leases.values()
            if lease.state is LeaseState.OPEN
            and (
                lease.not_after <= slabs_before
                if lease.not_after is not None
                else self.state.opened_at[lease.id] <= batches_before
            )
        ][:limit]

    async def organizations_due(self, at: datetime, *, limit: int) -> list[uuid.UUID]:
        due = [
            (one.due_at, one.org_id)
            for one in self.state.subscriptions.values()
            if one.due_at is not None and one.due_at <= at
        ]
        return [org_id for _, org_id in sorted(due)][:limit]

    async def organizations_to_close(self, at: datetime, *, limit: int) -> list[uuid.UUID]:
        found: set[uuid.UUID] = set()
        for bucket in self.state.buckets.values():
            leases = [one for one in self.state.leases.values() if one.org_id == bucket.org_id]
            if closable([bucket], leases, at):
                found.add(bucket.org_id)
        return sorted(found)[:limit]

    async def leases_to_finish(self, at: datetime, *, limit: int) -> list[Lease]:
        return [
            lease
            for lease in self.state.leases.values()
            if lease.state is LeaseState.CLOSING and lease.final_after is not None and lease.final_after <= at
        ][:limit]

    async def refunds_to_retry(self, since: datetime, *, limit: int) -> list[bytes]:
        del since
        waiting = [
            payload
            for (id_, reason), payload in self.state.parked.items()
            if reason is PostError.REFUND_WITHOUT_DEBIT
            and id_ not in self.state.transfers
            and not any(other == id_ and why is not reason for other, why in self.state.parked)
        ]
        return waiting[:limit]


class MemoryTx:
    """One transaction."""

    def __init__(self, state: _State, clock: ModelClock) -> None:
        self._state = state
        self._clock = clock

    async def lock(self, org_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Organization]:
        return {org_id: self._state.orgs[org_id] for org_id in sorted(org_ids) if org_id in self._state.orgs}

    async def oldest_ms(self) -> int:
        return int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)

    async def add_organization(self, org_id: uuid.UUID) -> None:
        self._state.orgs.setdefault(org_id, Organization(org_id=org_id, slab=50, version=0))

    async def set_slab(self, org_id: uuid.UUID, slab: int) -> None:
        self._state.orgs[org_id] = msgspec.structs.replace(self._state.orgs[org_id], slab=slab)

    async def raise_versions(self, org_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
        for org_id in org_ids:
            organization = self._state.orgs[org_id]
            self._state.orgs[org_id] = msgspec.structs.replace(organization, version=organization.version + 1)
        return {org_id: self._state.orgs[org_id].version for org_id in org_ids}

    async def buckets(self, org_ids: Collection[uuid.UUID]) -> list[Bucket]:
        return [one for one in self._state.buckets.values() if one.org_id in org_ids and not one.is_closed]

    async def buckets_by_id(self, ids: Collection[int]) -> dict[int, Bucket]:
        return {id_: self._state.buckets[id_] for id_ in ids if id_ in self._state.buckets}

    async def add_bucket(
        self, org_id: uuid.UUID, kind: BucketKind, origin: uuid.UUID, starts_at: datetime, ends_at: datetime | None
    ) -> int:
        key = (org_id, int(kind), origin)
        if key not in self._state.origins:
            id_ = SYSTEM_ACCOUNTS_END + len(self._state.buckets)
            self._state.origins[key] = id_
            self._state.buckets[id_] = Bucket(id=id_, org_id=org_id, kind=kind, starts_at=starts_at, ends_at=ends_at)
        return self._state.origins[key]

    async def end_buckets(self, ids: Collection[int], at: datetime) -> None:
        for id_ in ids:
            if not self._state.buckets[id_].is_closed:
                self._state.buckets[id_] = msgspec.structs.replace(self._state.buckets[id_], ends_at=at)

    async def close_buckets(self, ids: Collection[int], at: datetime) -> None:
        del at
        for id_ in ids:
            self._state.buckets[id_] = msgspec.structs.replace(self._state.buckets[id_], is_closed=True)

    async def live_leases(self, org_id: uuid.UUID) -> list[Lease]:
        return [
            lease
            for lease in self._state.leases.values()
            if lease.org_id == org_id and lease.state is not LeaseState.FINAL
        ]

    async def leases(self, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Lease]:
        return {id_: self._state.leases[id_] for id_ in ids if id_ in self._state.leases}

    async def add_lease(self, lease: Lease) -> None:
        assert lease.id not in self._state.leases
        self._state.opened_at[lease.id] = self._clock.now()
        self._put(lease)

    async def update_lease(self, lease: Lease) -> None:
        self._put(msgspec.structs.replace(lease, posted=self._state.leases[lease.id].posted))

    async def finish_leases(self, org_of: Mapping[uuid.UUID, uuid.UUID], *, closing_only: bool, at: datetime) -> int:
        del at
        finished = 0
        for id_, org_id in org_of.items():
            lease = self._state.leases.get(id_)
            if lease is None or lease.org_id != org_id or lease.state is LeaseState.FINAL:
                continue
            if closing_only and lease.state is LeaseState.OPEN:
                continue
            self._put(msgspec.structs.replace(lease, amount=lease.posted, state=LeaseState.FINAL))
            finished += 1
        return finished

    async def transfers(self, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Transfer]]:
        return {id_: list(self._state.transfers[id_]) for id_ in ids if id_ in self._state.transfers}

    async def refunded(self, debit_id: uuid.UUID) -> int:
        rows = (row for legs in self._state.transfers.values() for row in legs)
        return sum(row.amount for row in rows if row.refunds_id == debit_id and row.code == Code.REFUND)

    async def granted(self, org_id: uuid.UUID, since: datetime) -> int:
        first_ms = int(since.timestamp() * 1000)
        rows = (row for legs in self._state.transfers.values() for row in legs)
        return sum(
            row.amount for row in rows if row.org_id == org_id and row.code == Code.GRANT and id_ms(row.id) >= first_ms
        )

    async def append(self, rows: Sequence[Transfer]) -> None:
        for row in rows:
            legs = self._state.transfers.setdefault(row.id, [])
            if any(leg.leg == row.leg for leg in legs):
                raise RacedPosting
            assert row.amount > 0
            legs.append(row)
            self._move(row.debit_account, debits=row.amount)
            self._move(row.credit_account, credits_=row.amount)
            if row.lease_id is not None and row.code in (Code.CALL, Code.BATCH):
                lease = self._state.leases[row.lease_id]
                self._put(msgspec.structs.replace(lease, posted=lease.posted + row.amount))

    async def voided(self, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        return self._state.voids.intersection(ids)

    async def add_voids(self, org_id: uuid.UUID, ids: Collection[uuid.UUID]) -> None:
        del org_id
        self._state.voids.update(ids)

    async def park(self, parked: Sequence[Parked]) -> None:
        for one in parked:
            self._state.parked.setdefault((one.id, one.reason), one.payload)

    async def plan(self, code: str) -> Plan | None:
        return PLANS.get(code)

    async def subscription(self, org_id: uuid.UUID) -> Subscription | None:
        return self._state.subscriptions.get(org_id)

    async def subscriptions(self, org_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Subscription]:
        return {org_id: one for org_id, one in self._state.subscriptions.items() if org_id in org_ids}

    async def set_subscription(self, subscription: Subscription) -> None:
        self._state.subscriptions[subscription.org_id] = subscription

    async def add_low_warnings(self, org_id: uuid.UUID, period_start: datetime, percents: Collection[int]) -> list[int]:
        fresh = [one for one in percents if (org_id, period_start, one) not in self._state.warnings]
        self._state.warnings.update((org_id, period_start, one) for one in fresh)
        return fresh

    async def say(self, message: Message, *, org_id: uuid.UUID) -> None:
        del org_id
        self._state.said.append(message)

    async def say_all(self, messages: Sequence[tuple[uuid.UUID, Message]]) -> None:
        self._state.said.extend(message for _, message in messages)

    def _move(self, account: int, *, credits_: int = 0, debits: int = 0) -> None:
        """What the trigger does, and the CHECK of a bucket."""
        if account < SYSTEM_ACCOUNTS_END:
            return
        bucket = self._state.buckets[account]
        bucket = msgspec.structs.replace(bucket, credits=bucket.credits + credits_, debits=bucket.debits + debits)
        assert 0 <= bucket.debits <= bucket.credits, "a bucket is overdrawn"
        self._state.buckets[account] = bucket

    def _put(self, lease: Lease) -> None:
        """Write a lease; the CHECKs of the schema."""
        assert 0 <= lease.posted <= lease.amount, "a lease is overdrawn"
        assert lease.state is not LeaseState.FINAL or lease.amount == lease.posted
        assert (lease.holder is Holder.COUNTER) == (lease.not_after is not None)
        self._state.leases[lease.id] = lease


@dataclass
class Counter:
    """What `lz:{org}:<epoch>` holds."""

    id: uuid.UUID
    avail: int
    until: datetime


class MemoryCounters:
    """Redis as billing and edges see it. `fault` decides the next step: `lost` runs and is not answered, `unasked` does not
    run and is not answered either.
    """

    def __init__(self, clock: ModelClock) -> None:
        self.epoch = "epoch0"
        self.fault = ""
        self.counters: dict[str, Counter] = {}
        self._clock = clock
        self._restarts = 0

    def key(self, epoch: str) -> str:
        """The place of the counter; the epoch is part of it."""
        return epoch

    async def check(self, ref: str) -> None:
        if ref != self.epoch:
            raise LeaseStoreMismatch

    async def install(self, lease: Lease, credits_added: int, *, low: int, rest: int, is_new: bool) -> int | Outcome:
        del low, rest
        return self._step(lambda: self._install(lease, credits_added, is_new=is_new))

    async def take(self, lease: Lease, *, close: bool) -> int | Outcome:
        return self._step(lambda: self._take(lease, close=close))

    def _step(self, script: Any) -> int | Outcome:
        fault, self.fault = self.fault, ""
        answer: int | Outcome = Outcome.REFUSED if fault == "unasked" else script()
        return Outcome.UNKNOWN if fault else answer

    def _install(self, lease: Lease, credits_added: int, *, is_new: bool) -> int | Outcome:
        if lease.ref != self.epoch:
            return Outcome.REFUSED
        counter = self.counters.get(self.key(lease.ref))
        if is_new:
            if counter is not None:
                return Outcome.REFUSED
            assert lease.not_after is not None
            counter = self.counters[self.key(lease.ref)] = Counter(lease.id, 0, lease.not_after)
        elif counter is None or counter.id != lease.id:
            return Outcome.REFUSED
        counter.avail += credits_added
        return counter.avail

    def _take(self, lease: Lease, *, close: bool) -> int | Outcome:
        counter = self.counters.get(self.key(lease.ref))
        if lease.ref != self.epoch or counter is None or counter.id != lease.id:
            return Outcome.REFUSED
        left, counter.avail = counter.avail, 0
        if close:
            del self.counters[self.key(lease.ref)]
        return left

    def reserve(self, cost: int) -> uuid.UUID | None:
        """The edge's admission."""
        counter = self.counters.get(self.key(self.epoch))
        if counter is None or self._clock.now() >= counter.until or counter.avail < cost:
            return None
        counter.avail -= cost
        return counter.id

    def release(self, lease_id: uuid.UUID, cost: int) -> None:
        """The edge's way back."""
        counter = self.counters.get(self.key(self.epoch))
        if counter is not None and counter.id == lease_id:
            counter.avail += cost

    def flush(self) -> None:
        """FLUSHALL."""
        self.counters.clear()

    def dump(self) -> dict[str, Counter]:
        """A copy, as a replica or a file has it."""
        return copy.deepcopy(self.counters)

    def restart(self, dump: dict[str, Counter]) -> None:
        """Another process or reign, with what an older copy held."""
        self._restarts += 1
        self.epoch = f"epoch{self._restarts}"
        self.counters = copy.deepcopy(dump)
