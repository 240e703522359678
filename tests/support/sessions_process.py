"""Sessions as a process of its own, and its command line, for tests on the real servers."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.sandbox import Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.sessions import FORM_KEYS, RING

START_SECONDS = 30.0


def environment(database: TestDatabase, broker: TestBroker, sandbox: Sandbox) -> dict[str, str]:
    """What sessions and its command line are started with: nothing of ours is inherited."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
    return kept | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("sessions"),
        "FANGATE_AMQP_URL": broker.url("sessions"),
        "FANGATE_VAULT_KEYS": RING,
        "FANGATE_FORM_KEYS": FORM_KEYS,
        "FANGATE_SANDBOX_URL": sandbox.url,
    }


@dataclass
class SessionsProcess:
    """A running `python -m services.sessions`; `lines` is what it logged so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    admin_port: int = 0

    async def read_until_ready(self) -> None:
        """Return when it says that it is ready. Raises AssertionError with its log when it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            while not self.admin_port:
                assert await self._read(), "sessions ended: " + "".join(self.lines)
                with contextlib.suppress(json.JSONDecodeError):
                    entry = json.loads(self.lines[-1])
                    self.admin_port = entry["admin_port"] if entry.get("event") == "ready" else 0

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; answers the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        while await self._read():
            pass
        return await self.process.wait()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        self.lines.append(line.decode())
        return bool(line)


@contextlib.asynccontextmanager
async def running_process(env: dict[str, str]) -> AsyncIterator[SessionsProcess]:
    """Sessions, ready; ended by SIGTERM afterwards, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.sessions", env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    sessions = SessionsProcess(process)
    try:
        await sessions.read_until_ready()
        yield sessions
    finally:
        await sessions.end()


@dataclass(frozen=True)
class Operator:
    """`await operator("model list --org …")`."""

    env: dict[str, str]

    async def run(self, command: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.sessions", *command.split(), env=self.env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(stdin.encode())
        return process.returncode or 0, out.decode(), err.decode()

    async def __call__(self, command: str, stdin: str = "") -> Any:
        """The JSON object that a successful command prints."""
        status, out, err = await self.run(command, stdin)
        assert status == 0, err
        assert out.count("\n") == 1
        return json.loads(out)
