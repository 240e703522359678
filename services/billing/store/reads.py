"""What customers read of their books (`Reads`): statements of `reads.sql`, each of one snapshot."""

from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.contracts import billing as contracts
from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from libs.common.ids import derived_id
from services.billing.domain.ledger import Code
from services.billing.domain.plan import Plan
from services.billing.domain.reads import TYPE_OF, ExportSpan, LedgerFilter, UsageSpan
from services.billing.store.postgres import QUERIES, plan_of, subscription_of

READS: Final = load_queries(__package__, "reads.sql")
USAGE_LINES_MAX: Final = 1_000
EXPORT_ROWS_MAX: Final = 500  # of one part: with their seals they fit a reply of 1 MiB
EXPORT_SEALS_MAX: Final = 50  # whose transactions one statement looks through
_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(
    "0fffffff-ffff-ffff-ffff-ffffffffffff"
)  # in the year 2527: times beyond have no place in the ledger
_CALLS: Final = frozenset((Code.CALL, Code.VOID))


class PostgresReads:
    """Reads of one database. All methods raise DatabaseAway."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def plans(self) -> contracts.Plans:
        rows = await self._db.fetch(QUERIES.plans)
        return contracts.Plans(plans=tuple(_shown(plan_of(row)) for row in rows))

    async def subscription(self, org_id: UUID) -> contracts.Subscription:
        row = await self._db.fetchrow(QUERIES.subscriptions, [org_id])
        if row is None:
            return contracts.Subscription(status="none")
        found = subscription_of(row)
        return contracts.Subscription(
            status=found.status,
            plan=_shown(found.plan),
            period_start=found.period_start,
            period_end=found.period_end,
            anchor_day=found.anchor_day,
            next_plan=found.next_plan,
            cancels=found.cancels,
            past_due_since=found.past_due_since,
        )

    async def ledger(self, wanted: LedgerFilter) -> contracts.LedgerPage:
        first = _FIRST if wanted.since is None else _floor(wanted.since)
        end = _LAST if wanted.until is None else _floor(wanted.until)
        end = end if wanted.before is None else min(end, wanted.before)
        bounds = (wanted.org_id, first, end)
        limit = wanted.limit + 1  # one more tells whether there is another page
        if wanted.fold is None:
            rows = await self._db.fetch(READS.ledger, *bounds, [int(code) for code in wanted.codes], limit)
        else:
            others = [int(code) for code in wanted.codes - _CALLS]
            has_calls = Code.CALL in wanted.codes
            rows = await self._db.fetch(READS.ledger_folded, *bounds, others, limit, wanted.fold, has_calls)
        page = rows[: wanted.limit]
        return contracts.LedgerPage(
            lines=tuple(_line(wanted, row) for row in page),
            next_cursor=page[-1]["place"].hex if len(rows) > len(page) else None,
        )

    async def export(self, wanted: ExportSpan) -> contracts.LedgerExported:
        place = wanted.after or await self._first_place(wanted)
        if place is None:
            return contracts.LedgerExported(lines=())
        org_id = wanted.org_id
        # One more of each tells whether there is another part.
        found = await self._db.fetch(READS.export_seals, org_id, place.seal, place.last_seal, EXPORT_SEALS_MAX + 1)
        seals = {row["seal_no"]: row for row in found[:EXPORT_SEALS_MAX]}
        if not seals:
            return contracts.LedgerExported(lines=())
        ranges = [[seal[name] for seal in seals.values()] for name in ("seal_no", "xid_from", "xid_to")]
        rows = await self._db.fetch(READS.export_rows, org_id, *ranges, place.id, place.leg, EXPORT_ROWS_MAX + 1)
        page = rows[:EXPORT_ROWS_MAX]
        lines: list[contracts.Seal | contracts.Transfer] = []
        open_seal = None if place.id == _FIRST else place.seal
        for row in page:
            if row["seal_no"] != open_seal:
                open_seal = row["seal_no"]
                lines.append(_seal(seals[open_seal]))
            lines.append(_transfer(row))
        end: tuple[int, UUID, int] | None = None
        if len(rows) > len(page):
            end = (page[-1]["seal_no"], page[-1]["id"], page[-1]["leg"])
        elif len(found) > len(seals):
            end = (found[-1]["seal_no"], _FIRST, 0)
        return contracts.LedgerExported(
            lines=tuple(lines),
            next=end and contracts.ExportPlace(last_seal=place.last_seal, seal=end[0], id=end[1], leg=end[2]),
        )

    async def _first_place(self, wanted: ExportSpan) -> contracts.ExportPlace | None:
        bounds = await self._db.fetchrow(READS.export_bounds, wanted.org_id, _floor(wanted.since), _floor(wanted.until))
        if bounds is None or bounds["first"] is None:
            return None
        return contracts.ExportPlace(last_seal=bounds["last"], seal=bounds["first"], id=_FIRST, leg=0)

    async def usage(self, wanted: UsageSpan) -> contracts.UsageReport:
        unit = "hour" if "hour" in wanted.by else "day"
        dimensions = (unit in wanted.by, unit, "key" in wanted.by, "route" in wanted.by, "model" in wanted.by)
        rows = await self._db.fetch(
            READS.usage, wanted.org_id, wanted.since, wanted.until, *dimensions, USAGE_LINES_MAX + 1
        )
        lines = tuple(
            contracts.UsageLine(
                calls=row["calls"],
                credits=row["credits"],
                at=row["at"],
                key_id=row["key_id"],
                route=row["route"],
                model_id=row["model_id"],
            )
            for row in rows[:USAGE_LINES_MAX]
        )
        return contracts.UsageReport(
            lines=lines,
            calls=rows[0]["calls_total"] if rows else 0,
            credits=rows[0]["credits_total"] if rows else 0,
            is_cut=len(rows) > len(lines),
        )


def _shown(plan: Plan) -> contracts.Plan:
    return contracts.Plan(
        code=plan.code,
        monthly_credits=plan.monthly_credits,
        per_minute=plan.per_minute,
        per_day=plan.per_day,
        is_open=plan.is_open,
    )


def _floor(at: datetime) -> UUID:
    """The smallest id of a moment."""
    ms = max(0, int(at.timestamp() * 1000))
    return min(UUID(int=ms << 80), _LAST)


def _line(wanted: LedgerFilter, row: Record) -> contracts.LedgerLine:
    code, at = Code(row["code"]), row["at"]
    id_, description = row["id"], row["memo"] or row["route"] or code.name.capitalize()
    if id_ is None:  # folded: the same id as long as the day or hour has any call
        is_day = wanted.fold == "day"
        id_ = derived_id(int(at.timestamp() * 1000), f"calls:{wanted.org_id}" + ("" if is_day else ":hour"))
        description = f"API calls on {at:%Y-%m-%d}" if is_day else f"API calls on {at:%Y-%m-%d} from {at:%H:%M}"
    return contracts.LedgerLine(
        id=id_,
        type=TYPE_OF[code],
        amount=row["amount"],
        description=description,
        created_at=at,
        calls=row["calls"] if code in _CALLS else 0,
        key_id=row["key_id"],
        model_id=row["model_id"],
        route=row["route"],
    )


def _seal(row: Record) -> contracts.Seal:
    return contracts.Seal(
        seal=row["seal_no"],
        sealed_at=row["sealed_at"],
        rows=row["n"],
        total=row["total"],
        digest=row["digest"].hex(),
        previous=row["previous"].hex(),
        chain=row["chain"].hex(),
    )


def _transfer(row: Record) -> contracts.Transfer:
    return contracts.Transfer(
        seal=row["seal_no"],
        id=row["id"],
        leg=row["leg"],
        code=row["code"],
        type=Code(row["code"]).name.lower(),
        amount=row["amount"],
        debit_account=row["debit_account"],
        credit_account=row["credit_account"],
        refunds_id=row["refunds_id"],
        lease_id=row["lease_id"],
        key_id=row["key_id"],
        model_id=row["model_id"],
        route=row["route"],
        memo=row["memo"],
        posted_at=row["posted_at"],
    )
