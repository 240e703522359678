"""A service as a process of its own, and its command line, for tests on the real servers."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from deploy.local.operators import operate

START_SECONDS = 30.0


def clean_environment() -> dict[str, str]:
    """What every process inherits: nothing of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}


class ServiceProcess:
    """A running `python -m services.<service>`; `lines` is what it logged so far, read as it comes: a full pipe would stop it."""

    def __init__(self, service: str, process: asyncio.subprocess.Process) -> None:
        self.service = service
        self.process = process
        self.lines: list[str] = []
        self.admin_port = 0
        self._is_ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read_to_end())

    @classmethod
    async def start(cls, service: str, env: dict[str, str]) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{service}", env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return cls(service, process)

    async def until_ready(self) -> None:
        """Return when it says that it is ready. Raises AssertionError with its log when it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            await self._is_ready.wait()
        assert self.admin_port, f"{self.service} ended: " + "".join(self.lines)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait until it is gone and `lines` is whole; answers the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self._reader
        return await self.process.wait()

    async def _read_to_end(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())
            if not self.admin_port:
                self.admin_port = _port_said(self.lines[-1])
                if self.admin_port:
                    self._is_ready.set()
        self._is_ready.set()


def _port_said(line: str) -> int:
    with contextlib.suppress(json.JSONDecodeError):
        entry = json.loads(line)
        if entry.get("event") == "ready":
            return int(entry["admin_port"])
    return 0


@contextlib.asynccontextmanager
async def running_service(service: str, env: dict[str, str]) -> AsyncIterator[ServiceProcess]:
    """The service, ready; ended by SIGTERM afterwards, if it still runs."""
    running = await ServiceProcess.start(service, env)
    try:
        await running.until_ready()
        yield running
    finally:
        await running.end()


@dataclass(frozen=True)
class Operator:
    """A service's command line: `await operator("org create --name Example")`."""

    service: str
    env: dict[str, str]

    async def run(self, command: str | Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        """Exit status, standard output, standard error of a command, given as one text or word by word."""
        words = command.split() if isinstance(command, str) else command
        return await operate(self.service, words, env=self.env, stdin=stdin)

    async def __call__(self, command: str, stdin: str = "") -> Any:
        """The JSON object that a successful command prints, on one line."""
        status, out, err = await self.run(command, stdin)
        assert status == 0, err
        assert out.count("\n") == 1
        return json.loads(out)
