"""What is compared: three ways to one upstream, each measured by the same load in one run.

direct    nothing in between
proxy     a plain aiohttp reverse proxy: the floor of our language
fangate   everything on: key, windows, lease, bus, platform session, confirmed debit, ledger
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from deploy.local import ports
from deploy.local.children import Child
from deploy.local.profile import ROOT
from tests.load.generator import Load, Outcome
from tests.load.processes import costs, spent
from tests.support.stack import Organization, Stack

PATH: Final = "/chats"
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One way: where to ask, and the processes that it is made of."""

    name: str
    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    programs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One side under one load: what the callers saw, and what it cost."""

    side: str
    connections: int
    outcome: Outcome
    per_second: float
    cpu_ms: dict[str, float]  # a request, by program
    megabytes: dict[str, float]
    load_average: float

    @property
    def cpu_ms_all(self) -> float:
        """Of a request: the same figure as CPU seconds of 1,000 requests."""
        return sum(self.cpu_ms.values())


async def measure(side: Side, *, connections: int, seconds: float = 0.0, requests: int = 0) -> Cell:
    """Put one load on one side. Raises AssertionError for any answer but 200: then there is nothing to compare."""
    load = Load(
        port=side.port, path=side.path, headers=side.headers, connections=connections, seconds=seconds,
        requests=requests,
    )  # fmt: skip
    before = costs(side.programs)
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.generator", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await generator.communicate(json.dumps(asdict(load)).encode())
    after = costs(side.programs)
    outcome = Outcome(**json.loads(printed))
    assert outcome.failed == 0, f"{side.name}: {outcome.failed} failures: {outcome.first_failure}"
    return Cell(
        side=side.name, connections=connections, outcome=outcome, per_second=outcome.per_second,
        cpu_ms={name: 1_000 * cpu / outcome.answered for name, cpu in spent(before, after).items()},
        megabytes={name: cost.megabytes for name, cost in after.items()}, load_average=os.getloadavg()[0],
    )  # fmt: skip


@contextlib.contextmanager
def running(module: str, log: Path, *arguments: str) -> Iterator[tuple[int, int]]:
    """`python -m module PORT arguments` on a free port, until the block ends; its port and the number of its process."""
    (port,) = ports.pick(1)
    command = [sys.executable, "-m", module, str(port), *arguments]
    child = Child.spawn(module, command, env={"PATH": os.environ["PATH"]}, log=log, cwd=ROOT)
    try:
        while not _listens(port):
            assert child.exit_code is None, child.tail()
            time.sleep(LOOK_SECONDS)
        yield port, child.pid
    finally:
        asyncio.run(child.stop(grace_s=2.0))


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def fangate(stack: Stack, organization: Organization) -> Side:
    """The whole stack, through the key and the model of one organization."""
    return Side(
        name="fangate",
        port=int(stack.url.rpartition(":")[2]),
        path=f"/api/models/{organization.model_id}{PATH}",
        headers={"X-API-Key": organization.key},
        programs={name: number for name, number in stack.processes().items() if name != "sandbox"},
    )


async def interleaved(
    sides: Sequence[Side], *, connections: Sequence[int], rounds: int, seconds: float
) -> AsyncIterator[Cell]:
    """All cells, `rounds` times; the sides follow each other closely, so that all see the same machine."""
    for side in sides:  # caches, connections, leases: none of the figures is about a first call
        await measure(side, connections=16, seconds=min(1.0, seconds))
    for _ in range(rounds):
        for count in connections:
            for side in sides:
                yield await measure(side, connections=count, seconds=seconds)


def stamp() -> str:
    """The time of a run, for its files."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())
