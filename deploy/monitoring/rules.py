"""`python -m deploy.monitoring.rules` writes `rules/*.yaml` for Prometheus, and the same as a `PrometheusRule` for the
Kubernetes operator. `--runbooks` sets what the alerts' `runbook_url` begins with.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from deploy.documents import ROOT, to_yaml, write
from deploy.monitoring.alerts import GROUPS
from deploy.monitoring.slos import OBJECTIVES

FOLDER: Final = ROOT / "deploy" / "monitoring" / "rules"
CUSTOM_RESOURCE: Final = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "rules.yaml"
RUNBOOKS: Final = "docs/operations.md"
_SOURCE: Final = "make rules"


def alert_groups(runbooks: str = RUNBOOKS, *, hold: str | None = None) -> list[dict[str, Any]]:
    """The groups of `alerts.py`. `hold` replaces every alert's wait: for a test that cannot spend minutes."""
    return [
        {"name": f"fangate-{name}", "rules": [alert.rule(runbooks=runbooks, hold=hold) for alert in alerts]}
        for name, alerts in GROUPS.items()
    ]


def objective_groups(runbooks: str = RUNBOOKS) -> list[dict[str, Any]]:
    """Per objective a group of recordings and one of alerts, evaluated in this order."""
    return [
        group
        for objective in OBJECTIVES
        for group in (
            {"name": f"fangate-{objective.name}-recordings", "rules": objective.recordings()},
            {"name": f"fangate-{objective.name}-objective", "rules": objective.alerts(runbooks=runbooks)},
        )
    ]


def files(runbooks: str = RUNBOOKS) -> dict[Path, str]:
    """What is committed."""
    groups = {"alerts": alert_groups(runbooks), "objectives": objective_groups(runbooks)}
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "fangate"},
        "spec": {"groups": [*groups["objectives"], *groups["alerts"]]},
    }
    return {
        **{FOLDER / f"{name}.yaml": to_yaml({"groups": content}, source=_SOURCE) for name, content in groups.items()},
        CUSTOM_RESOURCE: to_yaml(resource, source=_SOURCE),
    }


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring.rules")
    parser.add_argument("--runbooks", default=RUNBOOKS, help="what runbook_url begins with, up to the `#`")
    write(files(parser.parse_args(argv).runbooks), folder=FOLDER, pattern="*.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
