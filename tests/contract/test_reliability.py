"""`docs/reliability.md` names only tests and faults that there are, and every fault stands in its table of outages."""

import re

import pytest

from deploy.local.profile import ROOT
from tests.support.faults.faults import FAULTS

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
OUTAGES = PAGE.partition("## Outages")[2].partition("## The long run")[0]
ROWS = [row for row in OUTAGES.splitlines() if row.startswith("| ") and not row.startswith("| what breaks")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_outage_names_what_shows_it(row: str) -> None:
    shown_by = row.rsplit("|", 2)[1]
    short = re.search(r"short: ([^;]*)", shown_by)
    long = re.search(r"long: ([^;]*)", shown_by)
    known = {fault.name: fault for fault in FAULTS}
    for name in re.findall(r"`([^`]+)`", short[1] if short else ""):
        assert known[name].is_short
    for name in re.findall(r"`([^`]+)`", long[1] if long else ""):
        assert not known[name].is_short
    for path, test in re.findall(r"`(tests/[^`:]+)::(\w+)`", shown_by):
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")
    assert short or long


def test_some_faults_without_a_row_are_variants_only() -> None:
    variants = {"Redis: SCRIPT FLUSH", "broker: three cuts", "broker: black hole 3 s", "Postgres: money locked 3 s",
                "SIGSTOP sandbox 3 s", "SIGSTOP sandbox 36 s", "platform: sessions expire"}  # fmt: skip
    assert {fault.name for fault in FAULTS if f"`{fault.name}`" not in OUTAGES} == variants
