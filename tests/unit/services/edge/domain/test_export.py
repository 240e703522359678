"""An export as lines: what it begins and ends with, in both forms."""

import csv
import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.billing import ExportPlace, LedgerExported, Seal, Transfer
from services.edge.domain.own.export import ROUTES
from services.edge.domain.own_route import Asked
from services.edge.domain.refusal import Refusal
from tests.support.edge import a_principal

AT = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)
ID = uuid.UUID(int=7)
SEAL = Seal(seal=3, sealed_at=AT, rows=1, total=2, digest="ab", previous="cd", chain="ef")
TRANSFER = Transfer(
    seal=3, id=ID, leg=0, code=10, type="call", amount=2, debit_account=1001, credit_account=102, refunds_id=None,
    lease_id=None, key_id=ID, model_id=None, route="chats_list", memo='a "note", with a comma', posted_at=AT,
)  # fmt: skip
(EXPORT,) = [route.export for route in ROUTES if route.export is not None]


def asked(**query: str) -> Asked:
    return Asked(caller=a_principal(), by=Actor(), path={}, query=query)


def text_of(request: Asked, *parts: LedgerExported) -> str:
    text = EXPORT.text(request)
    return b"".join((text.head(), *(text.page(part) for part in parts), text.tail())).decode()


def test_every_line_of_ndjson_says_what_it_is_and_the_last_how_many_there_were() -> None:
    request = asked(month="2026-03")
    lines = [json.loads(line) for line in text_of(request, LedgerExported(lines=(SEAL, TRANSFER))).splitlines()]
    assert [line["kind"] for line in lines] == ["export", "seal", "transfer", "end"]
    assert lines[0] == {"kind": "export", "org_id": str(request.org_id), "month": "2026-03"}
    assert lines[2]["posted_at"] == "2026-03-01T12:00:00.000007Z"
    assert lines[3] == {"kind": "end", "seals": 1, "transfers": 1}


def test_csv_holds_the_same_under_one_heading() -> None:
    request = asked(month="2026-03", format="csv")
    rows = list(
        csv.DictReader(io.StringIO(text_of(request, LedgerExported(lines=(SEAL,)), LedgerExported(lines=(TRANSFER,)))))
    )
    assert [row["kind"] for row in rows] == ["export", "seal", "transfer", "end"]
    assert (rows[2]["memo"], rows[2]["lease_id"], rows[2]["chain"]) == (TRANSFER.memo, "", "")
    assert (rows[1]["chain"], rows[3]["transfers"]) == ("ef", "1")
    assert (EXPORT.content_type(request), EXPORT.file_name(request)) == (
        "text/csv; charset=utf-8",
        "ledger-2026-03.csv",
    )


def test_parts_are_asked_for_until_there_is_no_more() -> None:
    request, place = asked(month="2026-03"), ExportPlace(last_seal=9, seal=3, id=ID, leg=0)
    first = EXPORT.page(request, None)
    second: Any = EXPORT.page(request, LedgerExported(lines=(), next=place))
    assert first is not None
    assert second.after == place
    assert EXPORT.page(request, LedgerExported(lines=())) is None
    with pytest.raises(Refusal, match="month"):
        EXPORT.page(asked(), None)
