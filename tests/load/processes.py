"""What processes cost, from /proc: CPU seconds and resident memory of a program with all its descendants."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one program. `megabytes` counts shared pages once per process: for PostgreSQL it is too high."""

    cpu_seconds: float
    megabytes: float


def costs(programs: Mapping[str, int]) -> dict[str, Cost]:
    """The cost so far of each program, by the number of its first process. Ended children count through their parents."""
    parents: dict[int, int] = {}
    cpu: dict[int, float] = {}
    memory: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        number = int(folder.name)
        parents[number] = int(fields[1])
        cpu[number] = sum(int(ticks) for ticks in fields[11:15]) / _TICKS  # its own, and that of children waited for
        memory[number] = int(fields[21]) * _PAGE / 2**20
    found: dict[str, Cost] = {}
    for name, root in programs.items():
        family = {root}
        while True:
            more = {number for number, parent in parents.items() if parent in family} | family
            if more == family:
                break
            family = more
        found[name] = Cost(
            cpu_seconds=sum(cpu.get(number, 0.0) for number in family),
            megabytes=sum(memory.get(number, 0.0) for number in family),
        )
    return found


def spent(before: Mapping[str, Cost], after: Mapping[str, Cost]) -> dict[str, float]:
    """CPU seconds by program between two looks."""
    return {name: max(0.0, cost.cpu_seconds - before[name].cpu_seconds) for name, cost in after.items()}
