"""A service as a process of its own, and its command line, for tests on the real servers."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

START_SECONDS = 30.0


def clean_environment() -> dict[str, str]:
    """What every process inherits: nothing of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}


@dataclass
class ServiceProcess:
    """A running `python -m services.<service>`; `lines` is what it logged so far."""

    service: str
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    admin_port: int = 0

    @classmethod
    async def start(cls, service: str, env: dict[str, str]) -> "ServiceProcess":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{service}", env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return cls(service, process)

    async def read_until_ready(self) -> None:
        """Return when it says that it is ready. Raises AssertionError with its log when it ends instead."""
        async with asyncio.timeout(START_SECONDS):
            while not self.admin_port:
                assert await self._read(), f"{self.service} ended: " + "".join(self.lines)
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
async def running_service(service: str, env: dict[str, str]) -> AsyncIterator[ServiceProcess]:
    """The service, ready; ended by SIGTERM afterwards, if it still runs."""
    running = await ServiceProcess.start(service, env)
    try:
        await running.read_until_ready()
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
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{self.service}", *(command.split() if isinstance(command, str) else command),
            env=self.env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(stdin.encode())
        return process.returncode or 0, out.decode(), err.decode()

    async def __call__(self, command: str, stdin: str = "") -> Any:
        """The JSON object that a successful command prints, on one line."""
        status, out, err = await self.run(command, stdin)
        assert status == 0, err
        assert out.count("\n") == 1
        return json.loads(out)
