"""Reports for abuse desks, judged by the format's own library."""

import json
from datetime import UTC, datetime

import pytest
import xarf

from services.takedowns.domain.host import Kind
from services.takedowns.domain.xarf import reports
from tests.support.takedown_notices import a_draft

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize("source", ["203.0.113.7", "2001:db8::7", "leaks.example"])
def test_every_report_is_valid(kind: Kind | None, source: str) -> None:
    made = reports(a_draft(), site_kind=kind, source=source, at=AT)
    assert [report["infringing_url"] for report in made] == list(a_draft().urls)
    for report in made:
        judged = xarf.parse(json.dumps(report))  # its strict mode demands what the format only recommends
        assert (judged.errors, judged.warnings) == ([], [])
        assert judged.report is not None


def test_one_report_per_url_and_none_beyond_twenty() -> None:
    for count in (1, 20):
        draft = a_draft(urls=tuple(f"https://e.com/{n}" for n in range(count)))
        made = reports(draft, site_kind=None, source="e.com", at=AT)
        assert len({report["report_id"] for report in made}) == count
        assert made == reports(draft, site_kind=None, source="e.com", at=AT)
    assert (
        reports(a_draft(urls=tuple(f"https://e.com/{n}" for n in range(21))), site_kind=None, source="e.com", at=AT)
        == []
    )


def test_no_legal_name() -> None:
    assert "Maria" not in json.dumps(reports(a_draft(), site_kind=None, source="e.com", at=AT))
