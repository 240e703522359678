"""What the documents say is there: links lead somewhere; tables, metrics, settings, targets and tests that are named exist; what
is computed is what stands there.
"""

import itertools
import re
from pathlib import Path

import pytest

from deploy import capacity
from deploy.documents import ROOT
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.registered import BROKER, registered
from deploy.monitoring.slos import OBJECTIVES
from libs.common import settings
from tests.contract.test_requirements import collected
from tests.support.runbooks.drills import DRILLS

SKIPPED = {".venv", ".run", ".git", "node_modules", ".pytest_cache"}
PAGES = sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts))
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
OF_THE_LIBRARY = {"inbox", "outbox"}  # every service has them; the page names them once


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """As they are made of headings: lower case, words joined by hyphens, what is no word left out."""
    headings = re.findall(r"^#{1,6} (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower().replace("`", ""))) for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """The links of `text`, as it stands on `page`, that lead nowhere in this repository."""
    found = []
    for target in LINK.findall(text):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or (anchor and aim.suffix == ".md" and anchor not in anchors(aim)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, text_of(page)) == []


def test_a_link_into_nothing_is_found() -> None:
    page = ROOT / "README.md"
    text = "[a](docs/nothing.md) [b](docs/data.md#erasure) [c](docs/data.md#nothing) [d](https://example.com/) [e](#two-commands)"
    assert broken(page, text) == ["docs/nothing.md", "docs/data.md#nothing"]


def test_the_readme_leads_to_every_page() -> None:
    readme = text_of(ROOT / "README.md")
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall(readme)}
    pages = {*ROOT.glob("docs/*.md"), *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"))}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - linked) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_settings_and_targets_that_are_named_exist(page: Path) -> None:
    text = text_of(page)
    known = {series.removesuffix(end) for series in registered() for end in ("_bucket", "_count", "_sum", "")} | BROKER
    asked = set(re.findall(r"`(fangate_[a-z0-9_]+)(?:\{[^`]*\})?`", text))
    assert {name for name in asked if name not in known and not name.endswith("_")} == set()
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= targets
    variables = {name.removesuffix("_FILE") for name in re.findall(r"`FANGATE_([A-Z0-9_]+)(?:=[^`]*)?`", text)}
    services = tuple(f"_{service.upper()}" for service in settings.SERVICES)
    plain = {
        name if name in settings.KNOWN else next((name.removesuffix(s) for s in services if name.endswith(s)), name)
        for name in variables
    }
    assert {name for name in plain if name not in settings.KNOWN and not name.endswith("_")} <= {"NAME", "X"}


# -- docs/data.md


def tables() -> set[str]:
    """Every table of the schemas, as `schema.table`; partitions are their parents'."""
    found = set()
    for path in ROOT.glob("services/*/migrations/*.sql"):
        schema = path.parts[-3]
        for name in re.findall(
            r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(?:\w+\.)?(\w+)\s*\(", text_of(path), flags=re.MULTILINE
        ):
            found.add(f"{schema}.{name}")
    return found


def test_R160_every_table_says_how_long_it_is_kept() -> None:
    page = text_of(ROOT / "docs" / "data.md")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row.split("|")[1])}
    assert tables()
    assert tables() - named == set()
    assert [row for row in rows if len(row.split("|")) != 7 or not row.split("|")[4].strip()] == []
    assert all(f"`*.{name}`" in page for name in OF_THE_LIBRARY)


def test_R160_what_enforces_it_is_in_the_code() -> None:
    page = text_of(ROOT / "docs" / "data.md")
    code = "".join(text_of(path) for path in ROOT.glob("services/*/**/*.py"))
    timers = set(re.findall(r"timer `([^`]+)`", page))
    assert len(timers) >= 6
    assert [name for name in timers if f'Timer("{name}"' not in code] == []
    constants = set(re.findall(r"\(`([A-Z_]+)`\)", page))
    assert len(constants) >= 8
    assert [name for name in constants if not re.search(rf"^{name}\b.*=", code, flags=re.MULTILINE)] == []


# -- the others


def test_every_test_that_the_threat_model_names_is_one() -> None:
    named = set(re.findall(r"`(test_\w+)`", text_of(ROOT / "docs" / "threat-model.md")))
    assert len(named) >= 30
    assert named - set(collected()) == set()


def test_every_threat_has_an_answer_that_is_shown() -> None:
    rows = [
        line.split("|")
        for line in text_of(ROOT / "docs" / "threat-model.md").splitlines()
        if re.match(r"\| [STRIDE] \|", line)
    ]
    assert {row[1].strip() for row in rows} == set("STRIDE")
    assert [row[2] for row in rows if not re.search(r"`test_|\.md\)", row[4])] == []


def test_the_tables_of_the_capacity_page_are_those_of_the_figures() -> None:
    page = text_of(capacity.PAGE)
    assert capacity.page(page) == page, "make capacity"


def test_a_load_that_doubles_never_needs_less() -> None:
    needs = [capacity.need(100 * 2**n) for n in range(14)]
    for less, more in itertools.pairwise(needs):
        assert all(less.cores[name] <= more.cores[name] for name in less.cores)
        assert less.redis_shards <= more.redis_shards
        assert less.ledger_gib < more.ledger_gib
    at_1000 = capacity.need(1_000)
    cpu = sum(capacity.CPU_PER_1000_CALLS.values())
    assert sum(at_1000.cores.values()) >= cpu / capacity.BUSY


def test_every_runbook_entry_was_followed() -> None:
    page = text_of(ROOT / "docs" / "operations.md")
    section = re.search(r"^## Runbook entries, followed\n(.*?)^## ", page, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = re.findall(r"^\| (Fangate\w+) \|", section[1], flags=re.MULTILINE)
    assert sorted(rows) == sorted({alert.name for alert in ALERTS} | {each.alert for each in OBJECTIVES})
    assert {drill.entry for drill in DRILLS} == set(rows)


def test_R161_the_operator_is_told_that_resale_needs_the_platforms_permission() -> None:
    page = text_of(ROOT / "docs" / "operations.md")
    section = re.search(r"^## What platforms must have permitted\n(.*?)^## ", page, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    assert "permission" in section[1]
    assert "in writing" in section[1]


def test_R165_usage_is_watched_and_can_be_looked_up() -> None:
    alerts = text_of(ROOT / "deploy" / "monitoring" / "rules" / "alerts.yaml")
    for name in ("FangateUsageUnusual", "FangateKeyMisused", "FangateKeysGuessed", "FangateRefusalsMany"):
        assert f"alert: {name}" in alerts
    assert '"/api/usage"' in text_of(ROOT / "docs" / "openapi" / "gateway.json")
