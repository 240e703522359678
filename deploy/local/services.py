"""The services of a stack: started, waited for, restarted when they crash, drained in reverse order."""

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from deploy.local.children import Child, ChildFailedError
from deploy.local.environment import Environment, service_of
from deploy.local.profile import ROOT
from deploy.local.readiness import READY_SECONDS_MAX, until_ready

_MODULES: Final = {"sandbox": "services.sessions.sandbox"}  # any other service `x` is `services.x`
_BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
_CRASHES_MAX: Final = len(_BACKOFF_SECONDS) + 1  # within the minute; then it stays down, and says so
_CRASH_WINDOW_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 35.0  # a service's own 25 s and what it needs to close
_LOOK_SECONDS: Final = 0.1
_PROBE_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)


class Services:
    """The processes of one stack. `say` is told what a person would want to know; `changed` whenever a process is another."""

    def __init__(
        self,
        environment: Environment,
        logs: Path,
        *,
        say: Callable[[str], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.environment = environment
        self._logs, self._say, self._changed = logs, say, changed
        self._children: dict[str, Child] = {}  # in the order of start
        self._guards: dict[str, asyncio.Task[None]] = {}

    @property
    def children(self) -> list[Child]:
        return list(self._children.values())

    async def start(self, names: Sequence[str]) -> None:
        """Start services side by side; return when all are ready. Raises ChildFailedError with the end of the log."""
        for name in names:
            self._spawn(name)
        await asyncio.gather(*(until_ready(self._children[name], self._probe(name)) for name in names))
        for name in names:
            self._guards[name] = asyncio.create_task(self._guard(name), name=f"guard {name}")

    async def until_ready(self, timeout_s: float = READY_SECONDS_MAX) -> None:
        """Wait until all are (again) ready. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await asyncio.gather(*(self._probe(name)() for name in self._children))
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    def kill(self, name: str) -> None:
        """SIGKILL, as a fault: the guard starts it again."""
        self._children[name].send(signal.SIGKILL)

    async def stop(self) -> None:
        """Drain and end all, the last started first."""
        for guard in self._guards.values():
            guard.cancel()
        await asyncio.gather(*self._guards.values(), return_exceptions=True)
        self._guards.clear()
        for name, child in reversed(list(self._children.items())):
            if not await child.stop(signal.SIGTERM, grace_s=_DRAIN_SECONDS):
                self._say(f"{name} did not end in {_DRAIN_SECONDS:.0f} s and was killed")
            del self._children[name]
        self._changed()

    def _spawn(self, name: str) -> None:
        service = service_of(name)
        command = [sys.executable, "-m", _MODULES.get(service, f"services.{service}")]
        log = self._logs / f"{name}.log"
        self._children[name] = Child.spawn(name, command, env=self.environment.of(name), log=log, cwd=ROOT)
        self._changed()

    def _probe(self, name: str) -> Callable[[], asyncio.Future[None]]:
        return lambda: asyncio.ensure_future(self._is_ready(name))

    async def _is_ready(self, name: str) -> None:
        url = f"{self.environment.admin_url(name)}/readyz"
        async with aiohttp.ClientSession(timeout=_PROBE_TIMEOUT) as session, session.get(url) as answer:
            if answer.status != 200:
                raise ConnectionError(f"{url} answers {answer.status}: {(await answer.text())[:300]}")

    async def _guard(self, name: str) -> None:
        """Start a service again when it ends; give up after too many times in a minute."""
        crashes = Crashes()
        while True:
            child = self._children[name]
            while not await child.wait(_CRASH_WINDOW_SECONDS):
                pass
            wait_s = crashes.another(time.monotonic())
            if wait_s is None:
                self._say(f"{name} ended {_CRASHES_MAX} times in a minute and stays down:\n{child.tail()}")
                return
            self._say(f"{name} ended with code {child.exit_code}; starting it again in {wait_s} s")
            await asyncio.sleep(wait_s)
            self._spawn(name)


class Crashes:
    """How long to wait before a service is started again: longer the more often it ended within the last minute.

    What is older counts no more: a service that ran well since then is back as fast as after its first crash.
    """

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def another(self, now_s: float) -> float | None:
        """Count a crash. Seconds to wait, or None: too often, it stays down."""
        while self._at and now_s - self._at[0] >= _CRASH_WINDOW_SECONDS:
            self._at.popleft()
        self._at.append(now_s)
        return _BACKOFF_SECONDS[len(self._at) - 1] if len(self._at) < _CRASHES_MAX else None


async def run_once(name: str, command: Sequence[object], *, env: dict[str, str], log: Path, timeout_s: float) -> None:
    """Run a program to its end. Raises ChildFailedError with the end of its log if it fails or takes too long."""
    child = Child.spawn(name, command, env=env, log=log, cwd=ROOT)
    try:
        if not await child.wait(timeout_s) or child.exit_code != 0:
            raise ChildFailedError(f"{name} failed (code {child.exit_code}):\n{child.tail()}")
    finally:
        await child.stop(signal.SIGKILL, grace_s=1.0)
