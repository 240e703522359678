"""Auth as a process of its own, and its command line, for tests on the real servers."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.auth import RING_TEXT
from tests.support.servers import TestBroker, TestDatabase

START_SECONDS = 30.0


def environment(database: TestDatabase, broker: TestBroker) -> dict[str, str]:
    """What auth and its command line are started with: nothing of ours is inherited."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
    return kept | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("auth"),
        "FANGATE_AMQP_URL": broker.url("auth"),
        "FANGATE_KEY_PEPPERS": RING_TEXT,
    }


@dataclass
class AuthProcess:
    """A running `python -m services.auth`; `lines` is what it logged so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    admin_port: int = 0

    async def read_until_ready(self) -> None:
        """Return when it says that it is ready. Raises AssertionError with its log when it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            while not self.admin_port:
                assert await self._read(), "auth ended: " + "".join(self.lines)
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
async def running_auth(env: dict[str, str]) -> AsyncIterator[AuthProcess]:
    """Auth, ready; ended by SIGTERM afterwards, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.auth", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    auth = AuthProcess(process)
    try:
        await auth.read_until_ready()
        yield auth
    finally:
        await auth.end()


@dataclass(frozen=True)
class Operator:
    """`await operator("org create --name Example")`."""

    env: dict[str, str]

    async def run(self, command: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.auth", *command.split(),
            env=self.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def __call__(self, command: str) -> Any:
        """The JSON object that a successful command prints."""
        status, out, err = await self.run(command)
        assert status == 0, err
        assert out.count("\n") == 1
        return json.loads(out)
