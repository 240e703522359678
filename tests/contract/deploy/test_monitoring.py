"""Rules and dashboards agree with the code and with the runbook, and Prometheus' own tools agree with them."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.documents import ROOT, differences, from_yaml, to_yaml
from deploy.monitoring import dashboards, rules, scraping
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.dashboards import BOARDS
from deploy.monitoring.registered import BROKER, asked_for, registered
from deploy.monitoring.slos import OBJECTIVES
from deploy.system import QUEUES_IN_USE, SERVICES
from services.billing.domain.ledger import Code

MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ANCHORS = {heading.lower() for heading in re.findall(r"^### (\w+)$", RUNBOOK, flags=re.MULTILINE)}
GROUPS = [*rules.alert_groups(), *rules.objective_groups()]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
EXPRESSIONS = {
    **{rule.get("alert") or rule["record"]: rule["expr"] for rule in RULES},
    **{f"{board.uid}: {panel.title} {n}": line.expr for board in BOARDS for panel in board.panels for n, line in enumerate(panel.lines)},
}  # fmt: skip

CREDITS_OF = re.compile(r'fangate_credits_total\{type=~?"([^"]*)"')
Program = Callable[[str, str], Path]


def run(*command: object, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_committed_is_what_the_data_say() -> None:
    assert differences(rules.files(), folder=rules.FOLDER, pattern="*.yaml") == []
    assert differences(dashboards.files(), folder=dashboards.FOLDER, pattern="*.json") == []
    assert scraping.FILE.read_text(encoding="utf-8") == to_yaml(scraping.for_compose(), source="make rules")


def test_every_service_is_an_entry_of_the_system() -> None:
    assert sorted(service.name for service in SERVICES) == sorted(
        path.parent.name for path in ROOT.glob("services/*/app.py")
    )


def test_every_metric_that_is_asked_for_is_one_that_the_code_registers() -> None:
    known = registered() | BROKER
    unknown = {name: sorted(asked_for(expr) - known) for name, expr in EXPRESSIONS.items()}
    assert {name: metrics for name, metrics in unknown.items() if metrics} == {}


def test_a_metric_that_nobody_registers_is_found() -> None:
    assert asked_for("rate(fangate_planted_total[5m])") - registered() == {"fangate_planted_total"}


def test_credits_are_asked_for_by_codes_that_the_ledger_has() -> None:
    asked = {code for expr in EXPRESSIONS.values() for codes in CREDITS_OF.findall(expr) for code in codes.split("|")}
    assert asked
    assert asked <= {code.name.lower() for code in Code}


def test_everything_recorded_that_is_asked_for_is_recorded() -> None:
    asked = {name for expr in EXPRESSIONS.values() for name in re.findall(r"fangate:\w+:\w+", expr)}
    assert asked <= RECORDED
    assert asked


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_runbook(rule: dict[str, dict[str, str]]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    assert anchor in ANCHORS
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_runbook_speaks_of_no_alert_that_there_is_not() -> None:
    named = {alert.name.lower() for alert in ALERTS} | {objective.alert.lower() for objective in OBJECTIVES}
    assert {anchor for anchor in ANCHORS if anchor.startswith("fangate")} == named


def test_every_alert_has_a_scenario_in_which_it_fires() -> None:
    scenarios = "".join(path.read_text(encoding="utf-8") for path in MONITORING.glob("rules/tests/*.yaml"))
    fired = set(re.findall(r'alertname="(\w+)"', scenarios))
    assert {str(rule["alert"]) for rule in RULES if "alert" in rule} <= fired


def test_queues_that_a_page_watches_are_those_that_services_consume() -> None:
    assert {queue.partition(".")[0] for queue in QUEUES_IN_USE} == {
        service.name for service in SERVICES if service.queues
    }
    assert "billing.ledger.0" in QUEUES_IN_USE


def test_the_operator_resource_holds_the_same_rules() -> None:
    (resource,) = from_yaml(rules.CUSTOM_RESOURCE.read_text(encoding="utf-8"))
    assert sorted(group["name"] for group in resource["spec"]["groups"]) == sorted(group["name"] for group in GROUPS)


def test_boards_have_unique_ids_and_no_panel_outside_the_grid() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(dashboards.FOLDER.glob("*.json"))]
    assert len({board["uid"] for board in boards}) == len(BOARDS) == len(boards)
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


def test_promtool_accepts_the_rules_and_the_scrape_configuration(program: Program) -> None:
    promtool = program("prometheus", "promtool")
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(rules.FOLDER.glob("*.yaml")))
    run(promtool, "check", "config", scraping.FILE)


def test_every_scenario_of_the_rules_comes_out_as_written(program: Program) -> None:
    folder = MONITORING / "rules" / "tests"
    run(
        program("prometheus", "promtool"),
        "test",
        "rules",
        *sorted(path.name for path in folder.glob("*.yaml")),
        cwd=folder,
    )


def test_a_rule_with_another_threshold_is_found_by_the_scenarios(program: Program, tmp_path: Path) -> None:
    # given the committed rules with one comparison turned round
    text = (rules.FOLDER / "alerts.yaml").read_text(encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(
        text.replace("fangate_bus_blocked) > 0", "fangate_bus_blocked) > 1"), encoding="utf-8"
    )
    scenarios = tmp_path / "tests" / "alerts.yaml"
    scenarios.parent.mkdir()
    scenarios.write_bytes((MONITORING / "rules" / "tests" / "alerts.yaml").read_bytes())
    done = subprocess.run(
        [program("prometheus", "promtool"), "test", "rules", scenarios], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "FangateBrokerBlocked" in done.stdout + done.stderr


def test_every_panel_is_valid_promql(program: Program, tmp_path: Path) -> None:
    expressions = [
        line.expr.replace("$__rate_interval", "5m")
        for board in BOARDS
        for panel in board.panels
        for line in panel.lines
    ]
    group = {"name": "panels", "rules": [{"record": f"panel_{n}", "expr": expr} for n, expr in enumerate(expressions)]}
    file = tmp_path / "panels.yaml"
    file.write_text(to_yaml({"groups": [group]}), encoding="utf-8")
    assert f"{len(expressions)} rules found" in run(program("prometheus", "promtool"), "check", "rules", file)


def test_amtool_accepts_the_example_of_an_alertmanager(program: Program) -> None:
    run(program("alertmanager", "amtool"), "check-config", MONITORING / "alertmanager.example.yaml")
