"""What is deployed, as data: one entry per service. The Kubernetes base, the monitoring rules and the checks of both are
made from it; compose and the launcher are compared with it.

What a service reads is not said here but taken from its settings struct: what is a `Secret` there is mounted as a file.
"""

import importlib
from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.bus.topology import QUEUES
from libs.common.settings import CommonSettings, Secret

ADMIN_PORT: Final = 9090
PUBLIC_PORT: Final = 8080
USER_ID: Final = 10001  # of the image, and of the pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always this many: more than one for the loss of a node, not for load."""

    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCpu:
    """Between `least` and `most`, by CPU: what callers wait for."""

    least: int
    most: int
    percent: int = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class OnQueue:
    """Between `least` and `most`, by messages waiting in `queue` and by the age of the oldest, beside CPU."""

    least: int
    most: int
    queue: str
    percent: int = 65
    messages: int = 100  # one more process for each
    wait_seconds: int = 30  # for the oldest before the next process starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One deployment."""

    name: str
    settings: str  # the struct in `services/<name>/settings.py`
    scaling: Fixed | OnCpu | OnQueue
    grace_seconds: int  # between SIGTERM and SIGKILL
    cpu: str
    memory: str  # requested, and with `memory_max` the limit
    memory_max: str
    outside_ports: tuple[int, ...] = ()  # that it may speak to beyond our own networks; none = it stays inside
    is_public: bool = False

    @property
    def struct(self) -> type[CommonSettings]:
        """Its settings struct."""
        found: type[CommonSettings] = getattr(importlib.import_module(f"services.{self.name}.settings"), self.settings)
        return found

    @property
    def fields(self) -> frozenset[str]:
        """Every setting it reads, upper case and without prefix."""
        return frozenset(field.name.upper() for field in msgspec.structs.fields(self.struct))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The settings that are secrets, in the order of the struct."""
        return tuple(
            field.name.upper()
            for field in msgspec.structs.fields(self.struct)
            if Secret in (field.type, *getattr(field.type, "__args__", ()))
        )

    @property
    def queues(self) -> tuple[str, ...]:
        """The named queues it consumes."""
        return tuple(queue.name for queue in QUEUES if queue.name.partition(".")[0] == self.name)


SERVICES: Final = (
    Service(
        name="edge", settings="EdgeSettings", scaling=OnCpu(least=3, most=12), grace_seconds=45,
        cpu="500m", memory="256Mi", memory_max="512Mi", is_public=True,
    ),
    Service(
        name="auth", settings="AuthSettings", scaling=OnCpu(least=2, most=6), grace_seconds=60,
        cpu="200m", memory="192Mi", memory_max="384Mi", outside_ports=(443,),
    ),
    # A ledger queue has one active consumer: a third process would only wait.
    Service(
        name="billing", settings="BillingSettings", scaling=Fixed(replicas=2), grace_seconds=60,
        cpu="300m", memory="256Mi", memory_max="512Mi", outside_ports=(443,),
    ),
    Service(
        name="sessions", settings="SessionsSettings", scaling=OnQueue(least=2, most=6, queue="sessions.jobs"),
        grace_seconds=60, cpu="300m", memory="256Mi", memory_max="768Mi", outside_ports=(443,),
    ),
    Service(
        name="takedowns", settings="TakedownsSettings", scaling=OnQueue(least=2, most=6, queue="takedowns.jobs"),
        grace_seconds=90, cpu="300m", memory="256Mi", memory_max="768Mi",
        outside_ports=(80, 443, 465, 587, 993),  # pages, RDAP, the mail relay, the mailbox
    ),
)  # fmt: skip

QUEUES_IN_USE: Final = tuple(queue for service in SERVICES for queue in service.queues)


def service(name: str) -> Service:
    """The entry of `name`. Raises KeyError."""
    return {each.name: each for each in SERVICES}[name]
