"""Every metric that some process of ours registers: what rules and dashboards may ask for."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY

import libs
import services

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_NAME: Final = re.compile(r"\b(?:fangate_\w+|rabbitmq_\w+)")

# Of RabbitMQ's own exporter, as 3.10 to 4.x name them; `make monitor-verify` finds them on a running broker.
BROKER: Final = frozenset(
    {
        "rabbitmq_detailed_queue_consumers",
        "rabbitmq_detailed_queue_messages_ready",
        "rabbitmq_detailed_queue_messages_unacked",
    }
)


def registered() -> frozenset[str]:
    """The names of all series that our code can export: importing a module registers its metrics."""
    for package in (libs, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return frozenset(_series())


def asked_for(expression: str) -> frozenset[str]:
    """The metrics of ours and of the broker that an expression names; not what rules record."""
    return frozenset(_NAME.findall(expression))


def _series() -> Iterator[str]:
    for family in REGISTRY.collect():
        for suffix in _SUFFIXES.get(family.type, ()):
            yield family.name + suffix
