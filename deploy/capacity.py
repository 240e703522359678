"""What a load needs, from measured figures: `python -m deploy.capacity` writes the tables between the marks of docs/capacity.md.

The figures are in one block below. Measured again (`make bench`), they are changed there and nowhere else.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.documents import ROOT
from libs.common.contracts.envelope import LEDGER_QUEUES, LEDGER_SHARDS

PAGE: Final = ROOT / "docs" / "capacity.md"
BEGIN: Final = "<!-- begin: written by make capacity -->"
END: Final = "<!-- end -->"

# -- figures: measured with `make bench` at 64 connections, everything on, on two cores: between the two runs that docs/performance.md shows

# CPU seconds of each program for 1,000 proxied calls.
CPU_PER_1000_CALLS: Final[Mapping[str, float]] = {
    "edge": 0.176, "sessions": 0.105, "rabbitmq": 0.076, "billing": 0.043, "postgres": 0.026, "redis": 0.025,
}  # fmt: skip
DEBITS_PER_SECOND: Final = (
    41_376  # of the ledger by itself, one hot organization: one consumer, one PostgreSQL, fsync on
)
URLS_PER_SECOND: Final = 14_000  # new ones, one takedowns process: the goal it is held to
BYTES_PER_DEBIT: Final = 393  # in PostgreSQL with indexes: 5,069 rows of a system under load

# -- what we plan with

BUSY: Final = 0.6  # of a core: beyond, waiting grows faster than work
PEAK_OVER_MEAN: Final = 4.0  # the busiest hour of a day against its mean
CORES_PER_WRITER: Final = 16  # of one PostgreSQL server; larger ones are to be had
HISTORY_MONTHS: Final = 13
SECONDS_PER_MONTH: Final = 2_630_000
SCALES: Final = (1, 10, 100, 1_000, 10_000)
CALLS_PER_SECOND: Final = 100  # at the peak, at scale 1: 1,000 organizations, see `make day`


@dataclass(frozen=True, slots=True)
class Need:
    """What a load needs at its peak."""

    calls_per_second: float
    cores: Mapping[str, int]  # of each program, rounded up
    ledger_queues: int
    call_queues: int  # of calls to sessions
    redis_shards: int
    writers: int  # PostgreSQL servers that take debits
    debits_per_month: float
    ledger_gib: float  # of the history kept online


def need(calls_per_second: float) -> Need:
    """For so many paid calls a second at the peak.

    What is one process by design is as many cores as it needs: a ledger queue has one active consumer, a Redis shard one thread.
    A quorum queue is one process of the broker's, here reckoned as if all of the broker's work were done in it.
    """
    cores = {name: cores_of(name, calls_per_second) for name in CPU_PER_1000_CALLS}
    monthly = calls_per_second / PEAK_OVER_MEAN * SECONDS_PER_MONTH
    return Need(
        calls_per_second=calls_per_second,
        cores=cores,
        ledger_queues=max(LEDGER_QUEUES, cores["billing"]),
        call_queues=cores["rabbitmq"],
        redis_shards=cores["redis"],
        writers=max(1, math.ceil(cores["postgres"] / CORES_PER_WRITER)),
        debits_per_month=monthly,
        ledger_gib=monthly * HISTORY_MONTHS * BYTES_PER_DEBIT / 2**30,
    )


def cores_of(program: str, calls_per_second: float) -> int:
    """How many cores a program needs, none of them fuller than `BUSY`."""
    return max(1, math.ceil(CPU_PER_1000_CALLS[program] * calls_per_second / 1_000 / BUSY))


def per_core() -> Iterator[str]:
    """What one core of each program carries."""
    yield "| program | CPU s per 1,000 calls | calls/s of one full core | planned with (at 60 %) |"
    yield "|---|---|---|---|"
    for name, cpu in CPU_PER_1000_CALLS.items():
        yield f"| {name} | {cpu:.3f} | {1_000 / cpu:,.0f} | {BUSY * 1_000 / cpu:,.0f} |"
    total = sum(CPU_PER_1000_CALLS.values())
    yield f"| all of a call | {total:.3f} | {1_000 / total:,.0f} | {BUSY * 1_000 / total:,.0f} |"


def scales() -> Iterator[str]:
    """What is needed at each scale."""
    names = list(CPU_PER_1000_CALLS)
    yield (
        f"| times | calls/s at the peak | {' | '.join(f'{name}, cores' for name in names)} | ledger queues | queues of calls"
        f" | Redis shards | PostgreSQL writers | debits a month | ledger of {HISTORY_MONTHS} months |"
    )
    yield "|" + "---|" * (len(names) + 8)
    for scale in SCALES:
        found = need(scale * CALLS_PER_SECOND)
        cores = " | ".join(f"{found.cores[name]:,}" for name in names)
        yield (
            f"| {scale:,} | {found.calls_per_second:,.0f} | {cores} | {found.ledger_queues:,} | {found.call_queues:,} | "
            f"{found.redis_shards:,} | {found.writers:,} | {_short(found.debits_per_month)} | {_size(found.ledger_gib)} |"
        )


def limits() -> Iterator[str]:
    """Where today's constants end."""
    one = BUSY * 1_000 / CPU_PER_1000_CALLS["billing"]
    yield f"| {LEDGER_QUEUES} ledger queues, as shipped | {LEDGER_QUEUES * one:,.0f} calls/s | set `LEDGER_QUEUES` higher: each takes neighbouring shards |"
    yield f"| {LEDGER_SHARDS} money shards, so as many queues at most | {LEDGER_SHARDS * one:,.0f} calls/s | more shards: the shard is a function of the organization's id, queues are re-bound while leases are not finalised |"
    yield f"| one queue of calls to sessions | {BUSY * 1_000 / CPU_PER_1000_CALLS['rabbitmq']:,.0f} calls/s | several, by the model's id |"
    yield f"| one Redis | {BUSY * 1_000 / CPU_PER_1000_CALLS['redis']:,.0f} calls/s | Redis Cluster: every key carries `{{org}}` |"
    yield f"| one ledger consumer by itself | {DEBITS_PER_SECOND:,} debits/s | more ledger queues |"
    yield f"| one takedowns process | {URLS_PER_SECOND:,} new URLs/s | more processes; `urls` has 16 partitions by creator |"


def text() -> str:
    """What stands between the marks."""
    head = ["| limit | ends at | then |", "|---|---|---|"]
    return "\n".join([*per_core(), "", *scales(), "", *head, *limits()])


def page(old: str) -> str:
    """The page with the tables written anew. Raises ValueError without the marks."""
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: no marks")
    return f"{before}{begin}\n{text()}\n{end}{after}"


def _short(number: float) -> str:
    for limit, word in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= limit:
            return f"{number / limit:,.1f} {word}"
    return f"{number:,.0f}"


def _size(gib: float) -> str:
    return f"{gib / 1024:,.1f} TiB" if gib >= 1024 else f"{gib:,.0f} GiB"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
