"""All takedowns of a creator or a batch as a file: lines of JSON or CSV, as many as there are."""

import csv
import io
from typing import Any, Final

import msgspec

from libs.common.contracts import notices
from libs.common.contracts.notices import TakedownShown
from services.edge.domain.own.takedowns import FILTERS, PAGE_MAX, asked_page
from services.edge.domain.own_route import Asked, Export, OwnRoute, query_of
from services.edge.domain.queries import one_of

PART_MS: Final = 20_000  # for one part of an export
_COLUMNS: Final = TakedownShown.__struct_fields__


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="kind"):
    """The last line of JSON: without it the export is not whole. CSV has none; its count is that of its lines."""

    takedowns: int


class Takedown(TakedownShown, frozen=True, kw_only=True, tag="takedown", tag_field="kind"):
    """A line of JSON."""


Line = Takedown | End


def _page(asked: Asked, before: Any) -> notices.ListTakedowns | None:
    """The command for the part after the reply `before`; None after the last."""
    if before is not None and before.next_after is None:
        return None
    return asked_page(asked, limit=PAGE_MAX, after=None if before is None else before.next_after)


class _Text:
    """Lines as bytes, and how many have gone by."""

    def __init__(self, asked: Asked) -> None:
        self._is_csv = _is_csv(asked)
        self._count = 0

    def head(self) -> bytes:
        return ",".join(_COLUMNS).encode() + b"\r\n" if self._is_csv else b""

    def page(self, reply: notices.TakedownPage) -> bytes:
        self._count += len(reply.takedowns)
        if not self._is_csv:
            lines = (Takedown(**msgspec.structs.asdict(takedown)) for takedown in reply.takedowns)
            return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, restval="")
        writer.writerows(msgspec.to_builtins(takedown) for takedown in reply.takedowns)
        return text.getvalue().encode()

    def tail(self) -> bytes:
        return b"" if self._is_csv else msgspec.json.encode(End(takedowns=self._count)) + b"\n"


def _is_csv(asked: Asked) -> bool:
    return asked.query.get("format") == "csv"


def _content_type(asked: Asked) -> str:
    return "text/csv; charset=utf-8" if _is_csv(asked) else "application/x-ndjson"


def _file_name(asked: Asked) -> str:
    return f"takedowns.{'csv' if _is_csv(asked) else 'ndjson'}"


ROUTES: Final = (
    OwnRoute(
        name="takedowns_export", method="GET", path="/takedowns/export", permission="api_takedowns_list",
        query=query_of(**FILTERS, format=one_of("ndjson", "csv")), data=Line, deadline_ms=PART_MS,
        export=Export(page=_page, text=_Text, content_type=_content_type, file_name=_file_name),
    ),
)  # fmt: skip
