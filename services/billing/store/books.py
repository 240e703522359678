"""Reading and checking the books (`Books`): statements of `books.sql`, each look in one snapshot."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from libs.common.contracts import billing as contracts
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.ids import derived_id
from services.billing.domain.audit import Audit, LeaseLine, OrganizationAudit, Reconciliation, SealHead, StatementLine
from services.billing.domain.bucket import BucketKind
from services.billing.domain.lease import Holder, LeaseState
from services.billing.domain.ledger import Code
from services.billing.domain.plan import Plan
from services.billing.store.postgres import QUERIES, plan_of

BOOKS: Final = load_queries(__package__, "books.sql")
_MONTHS_AHEAD: Final = 3
_SEALS_AT_ONCE: Final = 500  # recomputed by one statement
_SEALS_SAMPLED: Final = 10  # the newest; `verify` and the nightly run take all
_RECENT: Final = timedelta(hours=1)  # what a reconciliation between two full ones looks back
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TYPES: Final = {Code.CALL: "debit", Code.BATCH: "debit", Code.TOPUP: "topup", Code.REFUND: "refund"}
_GRANTS: Final = (Code.GRANT, Code.TOPUP, Code.PROMO)
_DEBITS: Final = (Code.CALL, Code.BATCH, Code.EXPIRE, Code.CLAWBACK)


class PostgresBooks:
    """The books of one database. All methods raise DatabaseAway."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def balance(self, org_id: UUID) -> contracts.Balance:
        row = await self._db.fetchrow(BOOKS.balance, org_id)
        if row is None:
            return contracts.Balance(balance=0, leased=0)
        buckets = tuple(
            contracts.Bucket(
                kind=BucketKind(one["kind"]).name.lower(),
                balance=one["balance"],
                ends_at=one["ends_at"] and datetime.fromisoformat(one["ends_at"]),
            )
            for one in row["buckets"]
        )
        total = sum(bucket.balance for bucket in buckets)
        return contracts.Balance(balance=total, leased=row["leased"], buckets=buckets, version=row["version"])

    async def transactions(self, org_id: UUID, *, page: int, limit: int) -> contracts.Transactions:
        rows = await self._db.fetch(BOOKS.transactions, org_id, page * limit, limit)
        lines = tuple(_transaction(org_id, row) for row in rows if row["at"] is not None)
        return contracts.Transactions(transactions=lines, total=rows[0]["total"])

    async def seal(self) -> int:
        return int(await self._db.fetchval(BOOKS.seal))

    async def head(self) -> SealHead | None:
        return _head(await self._db.fetchrow(BOOKS.newest_seal))

    async def chain_at(self, seal_no: int) -> str | None:
        chain: str | None = await self._db.fetchval(BOOKS.chain_at, seal_no)
        return chain

    async def snapshot(self) -> None:
        await self._db.execute(BOOKS.take_snapshot)

    async def ensure_partitions(self) -> int:
        async with self._db.transaction() as tx:
            await tx.execute(
                "SET LOCAL lock_timeout = '2s'"
            )  # a new partition locks the parent: rather wait for the next run
            await tx.execute(BOOKS.ensure_partitions, _MONTHS_AHEAD)
            newest = await tx.fetchval(BOOKS.newest_partition)
        today = datetime.now(UTC)
        return (int(newest[:4]) - today.year) * 12 + int(newest[4:]) - today.month

    async def reconcile(self, *, in_full: bool) -> Reconciliation:
        async with self._db.transaction(isolation="repeatable_read") as tx:
            since = _BEGINNING if in_full else datetime.now(UTC) - _RECENT
            head = await tx.fetchrow(BOOKS.seal_head)
            assert head is not None
            first_seal = 1 if in_full else max(1, head["seal_no"] - _SEALS_SAMPLED + 1)
            drift = await tx.fetch(BOOKS.drift, in_full)
            mismatches = await tx.fetch(BOOKS.lease_mismatches, since)
            errors = await tx.fetchrow(BOOKS.post_errors)
            leases = await tx.fetch(BOOKS.lease_figures)
            assert errors is not None
            return Reconciliation(
                drift_accounts=sum(row["accounts"] for row in drift),
                drift_credits=sum(row["credits"] for row in drift),
                negative_buckets=await tx.fetchval(BOOKS.negative_buckets),
                lease_mismatches=sum(row["leases"] for row in mismatches),
                refund_violations=await tx.fetchval(BOOKS.refund_violations, since),
                expire_violations=await tx.fetchval(BOOKS.expire_violations, since),
                grant_violations=await tx.fetchval(BOOKS.grant_violations),
                seal_mismatches=len(await _broken_seals(tx, first_seal, head["seal_no"])),
                post_errors=errors["errors"],
                refunds_overdue=errors["overdue"],
                seal_number=head["seal_no"],
                seal_lag_s=max(0.0, head["lag_s"]),
                stranded_credits=sum(row["stranded"] for row in leases),
                leases_open={_holder(row): row["leases"] for row in leases},
                lease_oldest_s={_holder(row): row["oldest_s"] for row in leases},
            )

    async def verify(self, org_id: UUID | None) -> Audit:
        async with self._db.transaction(isolation="repeatable_read") as tx:
            head = await tx.fetchrow(BOOKS.seal_head)
            assert head is not None
            broken = await _broken_seals(tx, 1, head["seal_no"])
            rules = [
                await tx.fetchval(BOOKS.negative_buckets),
                await tx.fetchval(BOOKS.refund_violations, _BEGINNING),
                await tx.fetchval(BOOKS.expire_violations, _BEGINNING),
                await tx.fetchval(BOOKS.grant_violations),
            ]
            organizations = await _organizations(tx, org_id, broken)
            return Audit(
                organizations=organizations,
                head=_head(await tx.fetchrow(BOOKS.newest_seal)),
                seals=head["seal_no"],
                seal_mismatches=len(broken),
                rule_violations=sum(rules),
            )

    async def statement(self, org_id: UUID, *, limit: int) -> list[StatementLine]:
        return [
            StatementLine(
                id=row["id"],
                type=Code(row["code"]).name.lower(),
                amount=row["amount"],
                at=row["at"],
                route=row["route"],
                memo=row["memo"],
            )
            for row in await self._db.fetch(BOOKS.statement, org_id, limit)
        ]

    async def plans(self) -> list[Plan]:
        return [plan_of(row) for row in await self._db.fetch(QUERIES.plans)]

    async def set_plan(
        self, code: str, *, monthly_credits: int, per_minute: int, per_day: int, is_open: bool = False
    ) -> Plan:
        """Make or change a plan; answers it with its new version."""
        row = await self._db.fetchrow(QUERIES.set_plan, code, monthly_credits, per_minute, per_day, is_open)
        assert row is not None
        return plan_of(row)

    async def live_leases(self, org_id: UUID | None) -> list[LeaseLine]:
        return [
            LeaseLine(
                id=row["id"],
                org_id=row["org_id"],
                holder=_holder(row),
                ref=row["ref"],
                amount=row["amount"],
                posted=row["posted"],
                state=LeaseState(row["state"]).name.lower(),
                opened_at=row["opened_at"],
                not_after=row["not_after"],
                final_after=row["final_after"],
            )
            for row in await self._db.fetch(BOOKS.live_lease_lines, org_id)
        ]


async def _broken_seals(tx: Tx, first: int, last: int) -> list[UUID | None]:
    """Whose seals do not recompute, one entry per seal (None: the chain over all); in steps, since a statement has 30 s."""
    broken: list[UUID | None] = []
    for start in range(first, last + 1, _SEALS_AT_ONCE):
        end = min(start + _SEALS_AT_ONCE - 1, last)
        broken += [row["org_id"] for row in await tx.fetch(BOOKS.seal_mismatches, start, end)]
    return broken


async def _organizations(tx: Tx, org_id: UUID | None, broken: list[UUID | None]) -> list[OrganizationAudit]:
    amounts: dict[UUID, dict[Code, int]] = {}
    derived: dict[UUID, int] = {}
    for row in await tx.fetch(BOOKS.sums_by_code, org_id):
        amounts.setdefault(row["org_id"], {})[Code(row["code"])] = row["amount"]
        derived[row["org_id"]] = derived.get(row["org_id"], 0) + row["net"]
    drift = {row["org_id"]: row["accounts"] for row in await tx.fetch(BOOKS.drift, True)}
    mismatches = {row["org_id"]: row["leases"] for row in await tx.fetch(BOOKS.lease_mismatches, _BEGINNING)}
    return [
        OrganizationAudit(
            org_id=one,
            credits_granted=sum(amounts.get(one, {}).get(code, 0) for code in _GRANTS),
            debits={code.name.lower(): amounts.get(one, {}).get(code, 0) for code in _DEBITS},
            refunds=amounts.get(one, {}).get(Code.REFUND, 0),
            voids=amounts.get(one, {}).get(Code.VOID, 0),
            waived=amounts.get(one, {}).get(Code.WAIVED, 0),
            balance=row["balance"],
            stored=row["stored"],
            derived=derived.get(one, 0),
            drift_accounts=drift.get(one, 0),
            lease_mismatches=mismatches.get(one, 0),
            seals=row["seals"],
            seal_mismatches=broken.count(one),
        )
        for row in await tx.fetch(BOOKS.sums_of_buckets, org_id)
        for one in [row["org_id"]]
    ]


def _head(row: Record | None) -> SealHead | None:
    if row is None:
        return None
    return SealHead(
        seal_no=row["seal_no"], chain=row["chain"], sealed_at=row["sealed_at"], sealed_rows=row["sealed_rows"],
        unsealed_rows=row["unsealed_rows"],
    )  # fmt: skip


def _holder(row: Record) -> str:
    return {Holder.COUNTER: "redis", Holder.BATCH: "batch"}[Holder(row["holder"])]


def _transaction(org_id: UUID, row: Record) -> contracts.Transaction:
    code, at = Code(row["code"]), row["at"]
    id_, description = row["id"], row["memo"]
    if code is Code.CALL:  # a day's calls: the same id as long as the day has any
        id_ = derived_id(int(at.timestamp() * 1000), f"calls:{org_id}")
        description = f"API calls on {at:%Y-%m-%d}: {row['calls']:,}"
    return contracts.Transaction(
        id=id_,
        type=_TYPES[code],
        amount=row["amount"],
        description=description or code.name.capitalize(),
        created_at=at,
    )
