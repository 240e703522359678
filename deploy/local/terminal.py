"""What a person sees: the launcher's own lines, and the services' logs as they are written, each line under its name."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_LOOK_SECONDS: Final = 0.2
_COLOURS: Final = (36, 35, 32, 33, 34)  # cyan, magenta, green, yellow, blue: red is for errors
_HIDDEN: Final = frozenset({"event", "level", "timestamp", "service", "module"})


def say(text: str) -> None:
    """One message of the launcher."""
    print(text, flush=True)


class LogFollower:
    """Prints what is appended to the log files of a folder, JSON lines in short."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._files = {name: folder / f"{name}.log" for name in names}
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._offsets = {name: _size(file) for name, file in self._files.items()}
        self._width = max(len(name) for name in names)
        self._is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            self.flush()
            await asyncio.sleep(_LOOK_SECONDS)

    def flush(self) -> None:
        """Print what came since the last time, whole lines only."""
        for name, file in self._files.items():
            if _size(file) <= self._offsets[name]:
                continue
            with file.open("rb") as log:
                log.seek(self._offsets[name])
                text = log.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._offsets[name] += len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                self._print(name, line)

    def _print(self, name: str, line: str) -> None:
        label = f"{name:<{self._width}} |"
        if self._is_coloured:
            label = f"\x1b[{self._colours[name]}m{label}\x1b[0m"
        print(label, readable(line), flush=True)


def readable(line: str) -> str:
    """`12:00:01 info  text key=value` of a JSON log line; any other line as it is."""
    try:
        entry: Any = json.loads(line)
        assert isinstance(entry, dict)
    except (ValueError, AssertionError):
        return line
    facts = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _HIDDEN)
    return f"{str(entry.get('timestamp', ''))[11:19]} {entry.get('level', ''):<7} {entry.get('event', '')} {facts}".rstrip()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
