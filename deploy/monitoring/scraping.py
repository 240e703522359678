"""How Prometheus finds the processes: `python -m deploy.monitoring.scraping` writes `prometheus.yaml` for compose.

What counts everywhere: our processes are job `fangate` with the label `service`, the broker is job `rabbitmq`, asked for
its queues one by one.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deploy.documents import ROOT, to_yaml, write
from deploy.monitoring.alerts import BROKER_JOB, JOB
from deploy.system import ADMIN_PORT, SERVICES

FILE: Final = ROOT / "deploy" / "monitoring" / "prometheus.yaml"
BROKER_PATH: Final = "/metrics/detailed"
BROKER_FAMILIES: Final = ("queue_coarse_metrics", "queue_consumer_count")
BROKER_PORT: Final = 15692


def configuration(
    processes: Sequence[Mapping[str, Any]],
    broker: Mapping[str, Any],
    *,
    rules: Sequence[str],
    interval: str = "15s",
    alertmanagers: Sequence[str] = (),
) -> dict[str, Any]:
    """A whole Prometheus configuration. `processes` and `broker` are service discoveries, as Prometheus names them; those
    of `processes` must set the label `service`.
    """
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": interval,
            "evaluation_interval": interval,
            "scrape_timeout": min(interval, "10s", key=_seconds),
        },
        "rule_files": list(rules),
        "scrape_configs": [
            *processes,
            {
                "job_name": BROKER_JOB,
                "metrics_path": BROKER_PATH,
                "params": {"family": list(BROKER_FAMILIES)},
                **broker,
            },
        ],
    }
    if alertmanagers:
        document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
    return document


def for_compose() -> dict[str, Any]:
    """Every container of a service, by its name."""
    return configuration(
        [
            {
                "job_name": f"{JOB}-{service.name}",
                "dns_sd_configs": [
                    {"names": [service.name], "type": "A", "port": ADMIN_PORT, "refresh_interval": "15s"}
                ],
                "relabel_configs": [
                    {"target_label": "job", "replacement": JOB},
                    {"target_label": "service", "replacement": service.name},
                ],
            }
            for service in SERVICES
        ],
        {"static_configs": [{"targets": [f"rabbitmq:{BROKER_PORT}"]}]},
        rules=["rules/*.yaml"],
        alertmanagers=["alertmanager:9093"],
    )


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("ms")) / 1000 if duration.endswith("ms") else float(duration.removesuffix("s"))


if __name__ == "__main__":
    write({FILE: to_yaml(for_compose(), source="make rules")}, folder=FILE.parent, pattern="prometheus.yaml")
    sys.exit(0)
