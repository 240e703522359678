"""What a fault is, and the system that it is done to."""

import asyncio
import enum
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.faults.servers import FaultServers
from tests.support.stack import Stack

BEGIN_S: Final = 1.0  # until what was under way is answered
PAST_FENCE_S: Final = 45.0  # longer than the fence of a call (35 s): what was under way may not become a 2xx
PAST_HEARTBEAT_S: Final = 36.0  # longer than it takes to give up a silent peer (33 s)


@dataclass(slots=True)
class World:
    """The system under faults. `answers` counts what customers were answered so far; `meanwhile` what they were answered
    while the last fault lasted.
    """

    stack: Stack
    servers: FaultServers
    clocks: Path  # where the services' clocks are set
    answers: Callable[[], Counter[int]]
    burst: Callable[[int], Awaitable[None]]  # so many calls more at once
    meanwhile: Counter[int] = field(default_factory=Counter)

    @property
    def vhost(self) -> str:
        return self.stack.env["FANGATE_AMQP_URL_EDGE"].rpartition("/")[2]

    async def last(self, seconds: float) -> None:
        """Let what is broken be broken; what was under way at its begin is not counted."""
        await asyncio.sleep(BEGIN_S)
        before = self.answers()
        await asyncio.sleep(seconds - BEGIN_S)
        self.meanwhile = self.answers() - before


class Meanwhile(enum.Enum):
    """What is promised to customers while it lasts."""

    SERVED = "served"  # calls go on
    REFUSED = "refused"  # no 2xx: nothing is given that could not be recorded
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Fault:
    """`run` breaks and mends. `shows`: service, metric (and label) that must rise above what it was. `is_short`: in `make
    test`; `is_long`: it takes so long that a run does it once.
    """

    name: str
    run: Callable[[World], Awaitable[None]]
    meanwhile: Meanwhile = Meanwhile.EITHER
    shows: tuple[str, str] | tuple[str, str, str] | None = None
    is_short: bool = False
    is_long: bool = False
    loses_answers: bool = False
    needs: Callable[[World], bool] = lambda _: True  # what this machine must offer for it
