"""Processes as the kernel lists them: who descends from whom, and whether they are gone."""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.local.children import Identity, is_alive, started_at


def descendants(pids: Iterable[int]) -> list[Identity]:
    """`pids` and all processes below them, each with its start time."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = list(pids)
    for pid in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == pid]
    return [Identity(pid, started_at(pid)) for pid in found]


def gone(processes: Iterable[Identity]) -> bool:
    """Whether none of them runs any more."""
    return not any(is_alive(identity) for identity in processes)


async def until(condition: Callable[[], bool], *, timeout_s: float) -> None:
    """Wait until it holds; fails the test if it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s"
        await asyncio.sleep(0.05)
