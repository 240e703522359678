"""`python -m tests.support.takedowns_process`: the service as its own `build` wires it, in a world that a test made.

Every name is this machine, whose web sites it may look at; registries are the test's; its day is what a file says; and a creator
called `Poison` meets a planted defect. Sockets, database, bus, timers and mail are the real ones.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from libs.common.clock import Clock, SystemClock
from libs.common.http.guarded import GuardedClient
from libs.common.process import run
from services.takedowns import app
from services.takedowns.domain.notice import render
from services.takedowns.entry import follow_up
from services.takedowns.gateways.rdap_bootstrap import Bootstrap
from services.takedowns.usecases import plan_notices
from tests.support.under_way import Loopback, Names

VARIABLE = "TESTS_TAKEDOWNS_WORLD"


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What the test made."""

    allowed: tuple[tuple[str, int], ...]  # addresses that may be connected to
    rdap_url: str
    day_file: str  # how many seconds ahead the service's day is


WORLD = msgspec.json.decode(os.environ.get(VARIABLE, "null"), type=Described | None)


class TravelClock(SystemClock):
    """The day moves; deadlines between services do not."""

    def now(self) -> datetime:
        assert WORLD is not None
        return super().now() + timedelta(seconds=float(Path(WORLD.day_file).read_text(encoding="ascii")))


class Guarded:
    """The guarded client, for which this machine's sites are the world."""

    @staticmethod
    async def open(**options: Any) -> GuardedClient:
        assert WORLD is not None
        return await GuardedClient.open(**options, resolver=Loopback(), allowed=WORLD.allowed)


class Registries(Bootstrap):
    """One registry for all."""

    @classmethod
    def shipped(cls, clock: Clock) -> "Registries":
        return cls(clock)

    def for_domain(self, domain: str) -> str:
        del domain
        assert WORLD is not None
        return WORLD.rdap_url

    def for_address(self, address: object) -> str:
        del address
        assert WORLD is not None
        return WORLD.rdap_url

    async def refresh(self, http: GuardedClient) -> None: ...

    def old_files(self) -> list[str]:
        return []


def main() -> None:
    """Never returns."""
    real = render

    def breaking(draft: Any) -> Any:
        if draft.work.stage_name == "Poison":
            raise ZeroDivisionError
        return real(draft)

    changed: dict[Any, dict[str, object]] = {
        app: {"SystemClock": TravelClock, "GuardedClient": Guarded, "Bootstrap": Registries, "SystemNames": Names},
        plan_notices: {"render": breaking},
        follow_up: {"MAIL_SECONDS": 1.0, "HOSTS_SECONDS": 1.0, "PLAN_SECONDS": 0.5, "SEND_SECONDS": 0.5, "CHECK_SECONDS": 0.5},
    }  # fmt: skip
    for module, names in changed.items():
        for name, value in names.items():
            setattr(module, name, value)
    run("takedowns", app.build)


if __name__ == "__main__":
    main()
