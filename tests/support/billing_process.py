"""Billing as a process of its own, its command line, and an edge's connection to the bus, for tests on the real servers."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.servers import TestBroker, TestDatabase

START_SECONDS = 30.0


def environment(database: TestDatabase, broker: TestBroker, redis_url: str) -> dict[str, str]:
    """What billing and its command line are started with: nothing of ours is inherited."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
    return kept | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("billing"),
        "FANGATE_AMQP_URL": broker.url("billing"),
        "FANGATE_REDIS_URL": redis_url,
    }


@dataclass
class BillingProcess:
    """A running `python -m services.billing`; `lines` is what it logged so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    admin_port: int = 0

    async def read_until_ready(self) -> None:
        """Return when it says that it is ready. Raises AssertionError with its log when it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            while not self.admin_port:
                assert await self._read(), "billing ended: " + "".join(self.lines)
                with contextlib.suppress(json.JSONDecodeError):
                    entry = json.loads(self.lines[-1])
                    self.admin_port = entry["admin_port"] if entry.get("event") == "ready" else 0

    async def read_to_end(self) -> None:
        while await self._read():
            pass

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; answers the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self.read_to_end()
        return await self.process.wait()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        self.lines.append(line.decode())
        return bool(line)


@contextlib.asynccontextmanager
async def billing_process(env: dict[str, str]) -> AsyncIterator[BillingProcess]:
    """Start the service; it is ready inside the block and killed after it, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.billing", env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    running = BillingProcess(process)
    try:
        await running.read_until_ready()
        yield running
    finally:
        await running.end(signal.SIGKILL)


async def command(env: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run a command of the operator: exit status, the object it printed, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.billing", *arguments, env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out else {}, err.decode()
