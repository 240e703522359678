"""The ledger of a month with its seals, to be kept and checked: lines of JSON or CSV, as many as there are."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.contracts import billing
from services.edge.domain.own_route import Asked, Export, OwnRoute, query_of
from services.edge.domain.queries import one_of
from services.edge.domain.refusal import Refusal

PART_MS: Final = 20_000  # for one part of an export
_MONTH: Final = re.compile(r"[0-9]{4}-[0-9]{2}")
_COLUMNS: Final = (
    "kind", "seal", "id", "leg", "code", "type", "amount", "debit_account", "credit_account", "refunds_id", "lease_id",
    "key_id", "model_id", "route", "memo", "posted_at", "sealed_at", "rows", "total", "digest", "previous", "chain",
    "org_id", "month", "seals", "transfers",
)  # fmt: skip


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="export", tag_field="kind"):
    """The first line: whose ledger, and the UTC month asked for. Seals are whole: the first and the last may hold transfers of
    its neighbours.
    """

    org_id: UUID
    month: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="kind"):
    """The last line: without it the export is not whole."""

    seals: int
    transfers: int


Line = Head | billing.Seal | billing.Transfer | End


def _page(asked: Asked, before: Any) -> billing.ExportLedger | None:
    """The command for the part after the reply `before`; None after the last."""
    if "month" not in asked.query:
        raise Refusal("INVALID_REQUEST", "query.month: a month is expected, such as 2026-03")
    if before is not None and before.next is None:
        return None
    after = None if before is None else before.next
    return billing.ExportLedger(org_id=asked.org_id, month=asked.query["month"], after=after)


class _Text:
    """Lines as bytes, and what has gone by."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._is_csv = asked.query.get("format") == "csv"
        self._seals = self._transfers = 0

    def head(self) -> bytes:
        names = ",".join(_COLUMNS).encode() + b"\r\n" if self._is_csv else b""
        return names + self._lines([Head(org_id=self._asked.org_id, month=self._asked.query["month"])])

    def page(self, reply: billing.LedgerExported) -> bytes:
        self._seals += sum(isinstance(line, billing.Seal) for line in reply.lines)
        self._transfers += sum(isinstance(line, billing.Transfer) for line in reply.lines)
        return self._lines(reply.lines)

    def tail(self) -> bytes:
        return self._lines([End(seals=self._seals, transfers=self._transfers)])

    def _lines(self, lines: Iterable[Line]) -> bytes:
        if not self._is_csv:
            return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, restval="")
        writer.writerows(msgspec.to_builtins(line) for line in lines)
        return text.getvalue().encode()


def _content_type(asked: Asked) -> str:
    return "text/csv; charset=utf-8" if asked.query.get("format") == "csv" else "application/x-ndjson"


def _file_name(asked: Asked) -> str:
    ending = "csv" if asked.query.get("format") == "csv" else "ndjson"
    return f"ledger-{asked.query['month']}.{ending}"


ROUTES: Final = (
    OwnRoute(
        name="ledger_export", method="GET", path="/ledger/export", permission="api_ledger_export",
        query=query_of(month=_MONTH, format=one_of("ndjson", "csv")), data=Line,
        deadline_ms=PART_MS, export=Export(page=_page, text=_Text, content_type=_content_type, file_name=_file_name),
    ),
)  # fmt: skip
