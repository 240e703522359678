"""Child processes of the launcher: each in a session of its own, killed by the kernel if the launcher dies, and signalled
only while they are provably the processes we started.

Output goes straight into a file: nothing is lost or blocked when the launcher is slow or gone.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.02  # how often an exit is looked for: short beside every start and stop
_TAIL_BYTES: Final = 64 * 1024  # enough for 30 long lines
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


class ChildFailedError(Exception):
    """A child ended, or was not ready in time; the message holds the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str  # as the kernel says it; an empty string means: no such process


class Child:
    """One running program of ours."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.log, self._process = name, log, process
        self.identity = Identity(process.pid, started_at(process.pid))

    @classmethod
    def spawn(
        cls,
        name: str,
        argv: Sequence[object],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        user: str | None = None,
    ) -> "Child":
        """Start `argv`, appending its output to `log`. With `user` (root only) it runs as that account.

        Call it from the main thread: the kernel ties the child's life to the thread that started it.
        """
        parent = os.getpid()

        def die_with_parent() -> None:
            # After the change of user, which would clear it. A parent that died meanwhile sends no signal any more.
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
                if os.getppid() != parent:
                    os._exit(1)

        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=dict(env),
                start_new_session=True, preexec_fn=die_with_parent,  # noqa: PLW1509 (one thread forks here, and libc is loaded)
                user=user, group=user, extra_groups=[] if user else None,
            )  # fmt: skip
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative = the signal that ended it."""
        return self._process.poll()

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the child, or with `group` all of its session; nothing once it has ended and was waited for."""
        if self._process.poll() is None:
            (os.killpg if group else os.kill)(self.pid, number)

    def kill(self, timeout_s: float) -> None:
        """End all of its session at once, and bury it. Raises subprocess.TimeoutExpired."""
        self.send(signal.SIGKILL, group=True)
        self._process.wait(timeout_s)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it ended within `timeout_s`."""
        end = time.monotonic() + timeout_s
        while self._process.poll() is None:
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, grace_s: float) -> bool:
        """Ask it to end, and kill its group after `grace_s`. True if it went by itself."""
        self.send(number)
        gone = await self.wait(grace_s)
        if not gone:
            self.send(signal.SIGKILL, group=True)
            await self.wait(10.0)
        return gone

    def tail(self, lines: int = 30) -> str:
        """The last `lines` of its log."""
        return tail_of(self.log, lines)


def tail_of(log: Path, lines: int = 30) -> str:
    """The last `lines` of a file, or a note that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return f"(no log at {log})"
    return "\n".join(text.splitlines()[-lines:])


def started_at(pid: int) -> str:
    """When process `pid` started, in the system's own spelling; empty if there is none (or only its corpse)."""
    if sys.platform != "linux":
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = text.rpartition(")")[2].split()  # after the name, which may hold anything
    return "" if fields[0] in "ZX" else f"{_boot_id()}/{fields[19]}"


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs."""
    return identity.started != "" and started_at(identity.pid) == identity.started


def signal_if_alive(identity: Identity, number: signal.Signals) -> bool:
    """Signal the process if it is still the one we knew. False, and nobody is signalled, if it is not."""
    if not is_alive(identity):
        return False
    try:
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def _boot_id() -> str:
    # Start times count from boot: after a reboot the same number may mean another process.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "boot"
