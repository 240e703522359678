"""A profile: one folder `.run/<name>/` with its lock, its memory (`state.json`) and its secrets. Two profiles never share.

The lock belongs to the process that holds it and goes with it; `state.json` is only ever believed about processes that
can prove to be the ones it names.
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from deploy.local.children import Identity, is_alive

ROOT: Final = Path(__file__).resolve().parents[2]
RUN: Final = ROOT / ".run"


class ProfileBusyError(Exception):
    """Another process holds the profile's lock."""


class Profile:
    """`.run/<name>/`; `open()` creates it and takes its lock, `close()` gives the lock back."""

    def __init__(self, name: str, *, run: Path = RUN) -> None:
        self.name, self.run, self.folder = name, run, run / name
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Raises ProfileBusyError if somebody has it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ProfileBusyError(self.name) from None
        self._lock = lock

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remove(self) -> None:
        """Delete the folder with all data in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_held(self) -> bool:
        """Whether some process holds the lock right now."""
        path = self.folder / "lock"
        if not path.exists():
            return False
        with path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    # -- memory

    def state(self) -> dict[str, Any]:
        """What the last launcher wrote; empty if there is nothing, or nothing readable."""
        try:
            state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def remember(self, **facts: Any) -> None:
        """Merge `facts` into `state.json`, at once and whole."""
        write_private(self.folder / "state.json", json.dumps({**self.state(), **facts}, indent=1))

    def ports(self) -> dict[str, int]:
        """The ports used last time, by name: tried first this time."""
        ports = self.state().get("ports", {})
        return {str(k): v for k, v in ports.items() if isinstance(v, int)} if isinstance(ports, dict) else {}

    def remember_ports(self, **ports: int) -> None:
        self.remember(ports={**self.ports(), **ports})

    def remember_processes(self, processes: Iterable[tuple[str, Identity]]) -> None:
        self.remember(processes=[[name, identity.pid, identity.started] for name, identity in processes])

    def processes(self) -> list[tuple[str, Identity]]:
        """The processes of the last launcher that still run, each proven by its start time."""
        rows = self.state().get("processes")
        known = (
            [(str(name), Identity(int(pid), str(started))) for name, pid, started in rows if pid]
            if isinstance(rows, list)
            else []
        )
        return [(name, identity) for name, identity in known if is_alive(identity)]

    def secret(self, name: str, *, bytes_count: int = 32) -> str:
        """A random hexadecimal secret, made once and kept (mode 0600)."""
        path = self.folder / "secrets.json"
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if name not in kept:
            kept[name] = secrets.token_hex(bytes_count)
            write_private(path, json.dumps(kept, indent=1))
        return kept[name]


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
