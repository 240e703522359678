"""What customers may ask of their books, in checked form. Nothing here moves credits."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import msgspec

from libs.common.contracts.billing import (
    ExportLedger,
    ExportPlace,
    GetUsage,
    LedgerExported,
    LedgerPage,
    ListLedger,
    Plans,
    Subscription,
    UsageReport,
)
from services.billing.domain.errors import InvalidRequest
from services.billing.domain.ledger import Code

PAGE_MAX: Final = 100  # lines of the ledger
SPAN_DEFAULT: Final = timedelta(days=30)
SPAN_MAX: Final = timedelta(days=400)  # of a usage report
GROUPS: Final = ("none", "hour", "day")
DIMENSIONS: Final = ("day", "hour", "key", "route", "model")
TYPES: Final = {
    "debit": (Code.CALL, Code.BATCH),
    "refund": (Code.REFUND, Code.VOID),
    "grant": (Code.GRANT,),
    "topup": (Code.TOPUP,),
    "promo": (Code.PROMO,),
    "expire": (Code.EXPIRE,),
    "clawback": (Code.CLAWBACK,),
    "adjust": (Code.ADJUST,),
}
TYPE_OF: Final = {code: name for name, codes in TYPES.items() for code in codes}
_MONTH: Final = re.compile(r"2[0-4][0-9]{2}-(?:0[1-9]|1[0-2])")  # the years that ids have a place for
_HOUR: Final = timedelta(hours=1)


class LedgerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A checked `ListLedger`. Lines have ids of times in [since, until) and below `before`, the last line of the page before."""

    org_id: UUID
    codes: frozenset[Code]
    fold: str | None  # hour | day: calls and their voids are one line
    since: datetime | None
    until: datetime | None
    before: UUID | None
    limit: int


class UsageSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked `GetUsage`: whole UTC hours [since, until)."""

    org_id: UUID
    since: datetime
    until: datetime
    by: frozenset[str]


class ExportSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked `ExportLedger`: the UTC month [since, until)."""

    org_id: UUID
    since: datetime
    until: datetime
    after: ExportPlace | None


def ledger_filter(request: ListLedger) -> LedgerFilter:
    """Check a request. Raises InvalidRequest."""
    if request.group not in GROUPS:
        raise InvalidRequest(f"group: one of {', '.join(GROUPS)}")
    unknown = sorted(set(request.types) - TYPES.keys())
    if unknown:
        raise InvalidRequest(f"types: {unknown[0]!r} is none of {', '.join(TYPES)}")
    try:
        before = None if request.cursor is None else UUID(hex=request.cursor)
    except ValueError:
        raise InvalidRequest("cursor: not one that an earlier page gave") from None
    return LedgerFilter(
        org_id=request.org_id,
        codes=frozenset(code for name in request.types or TYPES for code in TYPES[name]),
        fold=None if request.group == "none" else request.group,
        since=_aware(request.since, "since"),
        until=_aware(request.until, "until"),
        before=before,
        limit=max(1, min(request.limit, PAGE_MAX)),
    )


def export_span(request: ExportLedger) -> ExportSpan:
    """Check a request. Raises InvalidRequest."""
    if not _MONTH.fullmatch(request.month):
        raise InvalidRequest("month: a year and a month are expected, such as 2026-03")
    since = datetime.fromisoformat(f"{request.month}-01").replace(tzinfo=UTC)
    until = (since + timedelta(days=31)).replace(day=1)
    return ExportSpan(org_id=request.org_id, since=since, until=until, after=request.after)


def usage_span(request: GetUsage, *, now: datetime) -> UsageSpan:
    """Check a request, and widen it to whole hours. Raises InvalidRequest."""
    unknown = sorted(set(request.by) - set(DIMENSIONS))
    if unknown:
        raise InvalidRequest(f"by: {unknown[0]!r} is none of {', '.join(DIMENSIONS)}")
    if {"day", "hour"} <= set(request.by):
        raise InvalidRequest("by: day or hour, not both")
    until = _aware(request.until, "until") or now
    since = _aware(request.since, "since") or until - SPAN_DEFAULT
    if not timedelta(0) < until - since <= SPAN_MAX:
        raise InvalidRequest(f"until: after since, and at most {SPAN_MAX.days} days after it")
    since = since.replace(minute=0, second=0, microsecond=0)
    end = until.replace(minute=0, second=0, microsecond=0)
    return UsageSpan(
        org_id=request.org_id, since=since, until=end if end == until else end + _HOUR, by=frozenset(request.by)
    )


def _aware(at: datetime | None, name: str) -> datetime | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidRequest(f"{name}: needs a time zone, such as Z")
    return at.astimezone(UTC)


class Reads(Protocol):
    """What customers may read. Every answer is of one instant; unsealed transfers count at once."""

    async def plans(self) -> Plans:
        """All plans."""

    async def subscription(self, org_id: UUID) -> Subscription:
        """The organization's subscription, or that it has none."""

    async def ledger(self, wanted: LedgerFilter) -> LedgerPage:
        """A page of the ledger, newest first."""

    async def export(self, wanted: ExportSpan) -> LedgerExported:
        """The next part of an export, of sealed transfers only: the same however often it is asked for."""

    async def usage(self, wanted: UsageSpan) -> UsageReport:
        """Usage by the dimensions asked for."""
