"""The ledger in Postgres (`Ledger`, `LedgerTx`): statements of `queries.sql`, rows to structs and back, nothing decided."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final
from uuid import UUID

from libs.common.contracts.envelope import Message
from libs.common.db.errors import DatabaseError
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from services.billing.domain.bucket import Bucket, BucketKind
from services.billing.domain.errors import RacedPosting, Unpostable
from services.billing.domain.lease import Holder, Lease, LeaseState
from services.billing.domain.ledger import Transfer
from services.billing.domain.plan import Plan, Subscription
from services.billing.domain.ports import Organization, Parked

QUERIES: Final = load_queries(__package__)


class PostgresLedger:
    """The ledger of one database. All methods raise DatabaseAway (it passes) as well as what the port says."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["PostgresTx"]:
        async with self._db.transaction() as tx:
            yield PostgresTx(tx, self._outbox)

    async def leases_to_close(self, *, slabs_before: datetime, batches_before: datetime, limit: int) -> list[Lease]:
        rows = await self._db.fetch(QUERIES.leases_to_close, slabs_before, batches_before, limit)
        return [_lease(row) for row in rows]

    async def organizations_due(self, at: datetime, *, limit: int) -> list[UUID]:
        return [row["org_id"] for row in await self._db.fetch(QUERIES.organizations_due, at, limit)]

    async def organizations_to_close(self, at: datetime, *, limit: int) -> list[UUID]:
        return [row["org_id"] for row in await self._db.fetch(QUERIES.organizations_to_close, at, limit)]

    async def leases_to_finish(self, at: datetime, *, limit: int) -> list[Lease]:
        return [_lease(row) for row in await self._db.fetch(QUERIES.leases_to_finish, at, limit)]

    async def refunds_to_retry(self, since: datetime, *, limit: int) -> list[bytes]:
        return [row["payload"] for row in await self._db.fetch(QUERIES.refunds_to_retry, since, limit)]


class PostgresTx:
    """One open transaction."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def lock(self, org_ids: Collection[UUID]) -> dict[UUID, Organization]:
        rows = await self._tx.fetch(QUERIES.lock_orgs, list(org_ids))
        return {
            row["org_id"]: Organization(
                org_id=row["org_id"], is_frozen=row["frozen"], slab=row["slab"], version=row["version"]
            )
            for row in rows
        }

    async def oldest_ms(self) -> int:
        month = await self._tx.fetchval(QUERIES.oldest_partition)
        first = datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC)
        return int(first.timestamp() * 1000)

    async def add_organization(self, org_id: UUID) -> None:
        await self._tx.execute(QUERIES.add_org, org_id)

    async def set_slab(self, org_id: UUID, slab: int) -> None:
        await self._tx.execute(QUERIES.set_slab, org_id, slab)

    async def raise_versions(self, org_ids: Collection[UUID]) -> dict[UUID, int]:
        return {row["org_id"]: row["version"] for row in await self._tx.fetch(QUERIES.raise_versions, list(org_ids))}

    async def buckets(self, org_ids: Collection[UUID]) -> list[Bucket]:
        return [_bucket(row) for row in await self._tx.fetch(QUERIES.open_buckets, list(org_ids))]

    async def buckets_by_id(self, ids: Collection[int]) -> dict[int, Bucket]:
        return {row["id"]: _bucket(row) for row in await self._tx.fetch(QUERIES.buckets_by_id, list(ids))}

    async def add_bucket(
        self, org_id: UUID, kind: BucketKind, origin: UUID, starts_at: datetime, ends_at: datetime | None
    ) -> int:
        id_ = await self._tx.fetchval(QUERIES.add_bucket, org_id, int(kind), origin, starts_at, ends_at)
        if id_ is None:
            id_ = await self._tx.fetchval(QUERIES.bucket_of_origin, org_id, int(kind), origin)
        return int(id_)

    async def end_buckets(self, ids: Collection[int], at: datetime) -> None:
        await self._tx.execute(QUERIES.end_buckets, list(ids), at)

    async def close_buckets(self, ids: Collection[int], at: datetime) -> None:
        await self._tx.execute(QUERIES.close_buckets, list(ids), at)

    async def live_leases(self, org_id: UUID) -> list[Lease]:
        return [_lease(row) for row in await self._tx.fetch(QUERIES.live_leases, org_id)]

    async def leases(self, ids: Collection[UUID]) -> dict[UUID, Lease]:
        return {row["id"]: _lease(row) for row in await self._tx.fetch(QUERIES.leases_by_id, list(ids))}

    async def add_lease(self, lease: Lease) -> None:
        await self._tx.execute(
            QUERIES.add_lease,
            lease.id,
            lease.org_id,
            int(lease.holder),
            lease.ref,
            lease.amount,
            int(lease.state),
            lease.burn_at,
            lease.not_after,
        )

    async def update_lease(self, lease: Lease) -> None:
        await self._tx.execute(QUERIES.update_lease, lease.id, lease.amount, int(lease.state), lease.final_after)

    async def finish_leases(self, org_of: Mapping[UUID, UUID], *, closing_only: bool, at: datetime) -> int:
        if not org_of:
            return 0
        tag = await self._tx.execute(QUERIES.finish_leases, list(org_of), list(org_of.values()), closing_only, at)
        return _count(tag)

    async def transfers(self, ids: Collection[UUID]) -> dict[UUID, list[Transfer]]:
        if not ids:
            return {}
        found: dict[UUID, list[Transfer]] = {}
        for row in await self._tx.fetch(QUERIES.transfers_by_id, list(ids), min(ids), max(ids)):
            found.setdefault(row["id"], []).append(Transfer(**dict(row.items())))
        return found

    async def refunded(self, debit_id: UUID) -> int:
        return int(await self._tx.fetchval(QUERIES.refunded, debit_id))

    async def granted(self, org_id: UUID, since: datetime) -> int:
        return int(await self._tx.fetchval(QUERIES.granted, org_id, since))

    async def append(self, rows: Sequence[Transfer]) -> None:
        if not rows:
            return
        try:
            tag = await self._tx.execute(QUERIES.append, *([column(row) for row in rows] for column in _COLUMNS))
        except DatabaseError as exc:
            raise Unpostable(f"the ledger refuses {len(rows)} rows: {exc}") from exc
        if _count(tag) != len(rows):
            raise RacedPosting

    async def voided(self, ids: Collection[UUID]) -> set[UUID]:
        return {row["id"] for row in await self._tx.fetch(QUERIES.voided, list(ids))} if ids else set()

    async def add_voids(self, org_id: UUID, ids: Collection[UUID]) -> None:
        if ids:
            await self._tx.execute(QUERIES.add_voids, org_id, list(ids))

    async def park(self, parked: Sequence[Parked]) -> None:
        if parked:
            columns = ([one.id for one in parked], [str(one.reason) for one in parked], [one.payload for one in parked])
            await self._tx.execute(QUERIES.park, *columns)

    async def plan(self, code: str) -> Plan | None:
        row = await self._tx.fetchrow(QUERIES.plan, code)
        return None if row is None else plan_of(row)

    async def subscription(self, org_id: UUID) -> Subscription | None:
        return (await self.subscriptions([org_id])).get(org_id)

    async def subscriptions(self, org_ids: Collection[UUID]) -> dict[UUID, Subscription]:
        rows = await self._tx.fetch(QUERIES.subscriptions, list(org_ids))
        return {row["org_id"]: subscription_of(row) for row in rows}

    async def set_subscription(self, subscription: Subscription) -> None:
        await self._tx.execute(
            QUERIES.set_subscription,
            subscription.org_id,
            subscription.plan.code,
            subscription.plan.version,
            subscription.status,
            subscription.period_start,
            subscription.period_end,
            subscription.anchor_day,
            subscription.next_plan,
            subscription.cancels,
            subscription.past_due_since,
            subscription.allowance,
            subscription.due_at,
        )

    async def add_low_warnings(self, org_id: UUID, period_start: datetime, percents: Collection[int]) -> list[int]:
        rows = await self._tx.fetch(QUERIES.add_low_warnings, org_id, period_start, list(percents))
        return [row["percent"] for row in rows]

    async def say(self, message: Message, *, org_id: UUID) -> None:
        await self._outbox.add(self._tx, message, org_id=org_id)

    async def say_all(self, messages: Sequence[tuple[UUID, Message]]) -> None:
        await self._outbox.add_all(self._tx, messages)


_COLUMNS: Final = [
    attrgetter(name)
    for name in (
        "id", "leg", "code", "amount", "org_id", "debit_account", "credit_account", "refunds_id", "lease_id", "key_id",
        "model_id", "route", "memo",
    )
]  # fmt: skip


def _count(tag: str) -> int:
    """The number of rows in a command tag (`INSERT 0 500`, `UPDATE 3`)."""
    return int(tag.rsplit(" ", 1)[1])


def _bucket(row: Record) -> Bucket:
    return Bucket(
        id=row["id"],
        org_id=row["org_id"],
        kind=BucketKind(row["kind"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        credits=row["credits"],
        debits=row["debits"],
        is_closed=row["closed_at"] is not None,
    )


def _lease(row: Record) -> Lease:
    return Lease(
        id=row["id"],
        org_id=row["org_id"],
        holder=Holder(row["holder"]),
        ref=row["ref"],
        amount=row["amount"],
        posted=row["posted"],
        state=LeaseState(row["state"]),
        burn_at=row["burn_at"],
        not_after=row["not_after"],
        final_after=row["final_after"],
    )


def plan_of(row: Record) -> Plan:
    """A row of `plans`, or of a join with it."""
    return Plan(
        code=row["code"],
        version=row["version"],
        monthly_credits=row["monthly_credits"],
        per_minute=row["rpm"],
        per_day=row["rpd"],
        is_open=row["is_open"],
    )


def subscription_of(row: Record) -> Subscription:
    """A row of `subscriptions` joined with its plan."""
    return Subscription(
        org_id=row["org_id"],
        plan=plan_of(row),
        status=row["status"],
        period_start=row["period_start"],
        period_end=row["period_end"],
        anchor_day=row["anchor_day"],
        next_plan=row["next_plan"],
        cancels=row["cancels"],
        past_due_since=row["past_due_since"],
        allowance=row["allowance"],
        due_at=row["due_at"],
    )
