"""The tables that a person reads."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from tests.load.ledger import Posting
from tests.load.sides import Cell
from tests.load.takedowns import Filling, Submissions

OURS: Final = ("edge", "sessions", "billing")  # whose memory is promised


def say(text: str = "") -> None:
    """A line for the person at the terminal."""
    print(text, flush=True)  # noqa: T201


def grouped(cells: Iterable[Cell]) -> dict[tuple[int, str], list[Cell]]:
    """The rounds of each load and side, in the order they came."""
    found: dict[tuple[int, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        found[cell.connections, cell.side].append(cell)
    return found


def middle(cells: Sequence[Cell], figure: Callable[[Cell], float]) -> float:
    """The median of a figure over the rounds."""
    return median(figure(cell) for cell in cells)


def print_comparison(cells: Sequence[Cell]) -> None:
    """Side by side per load, then what a request costs, by program."""
    rounds = grouped(cells)
    loads = [cell.load_average for cell in cells]
    say(f"\nload average {min(loads):.1f} to {max(loads):.1f}; medians, in brackets least and most")
    say("conns  side      requests/s                    ÷ proxy   p50 ms   p99 ms (least, most)   CPU s/1,000  ÷ proxy")
    for (connections, side), own in sorted(rounds.items(), key=lambda item: item[0][0]):
        floor = rounds.get((connections, "proxy"), own)
        rate, cpu = middle(own, lambda cell: cell.per_second), middle(own, lambda cell: cell.cpu_ms_all)
        rates = [cell.per_second for cell in own]
        p99s = [cell.outcome.p99_ms for cell in own]
        floor_cpu = middle(floor, lambda cell: cell.cpu_ms_all)
        say(
            f"{connections:5}  {side:8} {rate:9,.0f} ({min(rates):8,.0f}, {max(rates):8,.0f})"
            f"   {rate / middle(floor, lambda cell: cell.per_second):7.2f}"
            f"  {middle(own, lambda cell: cell.outcome.p50_ms):7.2f}"
            f"  {middle(own, lambda cell: cell.outcome.p99_ms):7.1f} ({min(p99s):5.1f}, {max(p99s):5.1f})"
            f"   {cpu:11.3f}  {cpu / floor_cpu if floor_cpu else 0:7.2f}"
        )
    say("\nfangate by program: CPU s per 1,000 requests at each number of connections, resident MB at the end")
    counts = sorted({connections for connections, _ in rounds})
    say(f"  {'':10}{''.join(f'{count:8}' for count in counts)}      MB")
    last = rounds[counts[-1], "fangate"][-1]
    for name in last.cpu_ms:
        costs = (middle(rounds[count, "fangate"], lambda cell, name=name: cell.cpu_ms[name]) for count in counts)  # type: ignore[misc]
        say(f"  {name:10}{''.join(f'{cost:8.3f}' for cost in costs)}{last.megabytes[name]:8.0f}")
    say(f"  edge + sessions + billing: {_memory(last):.0f} MB")


def print_ledger(full: Mapping[str, Posting], steady: Posting, rate: int) -> None:
    """The consumer's throughput, by whose debits fill its queues, and its latency."""
    say()
    for whose, posting in full.items():
        say(f"ledger, {whose}: {posting.per_second:,.0f} debits/s ({posting.records:,} in {posting.seconds:.2f} s)")
    say(
        f"post latency at {rate:,} debits/s: p50 {steady.p50_ms:.0f} ms, p99 {steady.p99_ms:.0f} ms (to the row's insert)"
    )


def print_submissions(found: Sequence[Submissions]) -> None:
    """How long submissions take, and how many URLs a second that makes."""
    say("\nsubmissions of URLs, end to end          p50 ms   p99 ms   max ms     URLs/s   CPU ms")
    for each in found:
        name = f"{each.urls:,} {each.name}, {each.at_once} at once ({each.count} times)"
        say(
            f"  {name:36} {each.p50_ms:8.0f} {each.p99_ms:8.0f} {each.max_ms:8.0f} {each.urls_per_second:10,.0f} {each.cpu_ms:8.0f}"
        )


def print_filling(found: Filling) -> None:
    """What a table that has grown costs a submission."""
    say(
        f"\n{found.before.urls:,} new URLs, before and after {found.rows:,} others ({found.seconds:.0f} s to store them)"
    )
    say("             p50 ms   p99 ms   CPU ms")
    for name, each in (("before", found.before), ("after", found.after)):
        say(f"  {name:8} {each.p50_ms:8.1f} {each.p99_ms:8.1f} {each.cpu_ms:8.1f}")
    say(f"  after ÷ before: p50 {found.ratio:.2f}, CPU {found.cpu_ratio:.2f}")


def print_soak(cells: Sequence[Cell]) -> None:
    """Memory over time."""
    say("\nsoak at 64 connections, step by step: requests/s, p99 ms, MB of edge + sessions + billing")
    for cell in cells:
        say(f"  {cell.per_second:9,.0f} {cell.outcome.p99_ms:8.1f} {_memory(cell):8.1f}")
    first, last = _memory(cells[0]), _memory(cells[-1])
    say(f"  growth after the first step: {100 * (last - first) / first:.1f} %")


def _memory(cell: Cell) -> float:
    return sum(cell.megabytes[name] for name in OURS)
