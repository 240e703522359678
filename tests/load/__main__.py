"""`make bench`: Fangate beside a plain proxy and the bare upstream, in one run on one machine; then the ledger and submissions.

Only the ratios mean something elsewhere: machines are shared, and differ. Table on the terminal; JSON and a plot in `.run/bench/`.
"""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from deploy.local.profile import RUN
from tests.load.ledger import Posting, post, subscribed
from tests.load.plot import draw, draw_bars
from tests.load.sides import PATH, Cell, Side, fangate, interleaved, measure, running, stamp
from tests.load.table import print_comparison, print_filling, print_ledger, print_soak, print_submissions
from tests.load.takedowns import filling, submissions
from tests.support.stack import Organization, Stack, running_stack

FOLDER: Final = RUN / "bench"
PLAN: Final = "bench"  # windows that never limit
PLAN_SIZE: Final = ("--credits", "100000000", "--per-minute", "100000000", "--per-day", "1000000000")
PACE: Final = {  # kept like every other limit, and never reached: all calls go to one account
    "FANGATE_MODEL_CALLS_PER_MINUTE": "1000000000", "FANGATE_MODEL_CALLS_BURST": "1000000000",
}  # fmt: skip
LEDGER_RECORDS: Final = 50_000
LEDGER_ORGANIZATIONS: Final = 1_000  # of the figure for many
LEDGER_ROUNDS: Final = 3  # the middle one is shown
LEDGER_RATE: Final = 5_000  # debits a second of the latency figure
SOAK_STEPS: Final = 6  # memory is looked at this often


def main() -> int:
    """Run it all; answers the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of one cell (default: 4)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="interleaved; median, least and most are shown (default: 3)"
    )
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS", help="then load at 64 connections")
    parser.add_argument("--no-ledger", action="store_true")
    parser.add_argument(
        "--submissions", type=int, default=30, metavar="N", help="of 10,000 URLs; 0 for none (default: 30)"
    )
    parser.add_argument(
        "--full-table", type=int, default=0, metavar="ROWS",
        help="then 1,000 new URLs before and after so many others are stored (5000000: some minutes, 2 GB); default: 0",
    )  # fmt: skip
    parser.add_argument(
        "--hold", action="store_true", help="after the figures keep loading, for a profiler; Ctrl-C ends it"
    )
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / "log"
    with running("tests.load.upstream", log) as (upstream_port, _):
        upstream = f"http://127.0.0.1:{upstream_port}"
        with (
            running("tests.load.proxy", log, upstream) as (proxy_port, proxy_pid),
            running_stack(RUN / f"stack-{os.getpid()}", FANGATE_SESSION_PLATFORM_URL=upstream, **PACE) as stack,
        ):
            sides = [
                Side(name="direct", port=upstream_port, path=PATH),
                Side(name="proxy", port=proxy_port, path=PATH, programs={"proxy": proxy_pid}),
            ]
            asyncio.run(_run(options, stack, sides))
    return 0


async def _organization(stack: Stack) -> Organization:
    await stack.cli("billing", "plan", "set", "--plan", PLAN, *PLAN_SIZE)
    return await stack.an_organization(plan=PLAN, provider="session")


async def _run(options: argparse.Namespace, stack: Stack, sides: list[Side]) -> None:
    organization = await _organization(stack)
    sides = [*sides, fangate(stack, organization)]
    cells: list[Cell] = []
    async for cell in interleaved(
        sides, connections=options.connections, rounds=options.rounds, seconds=options.seconds
    ):
        cells.append(cell)
        print(  # noqa: T201
            f"  {cell.side:8} {cell.connections:3} connections {cell.per_second:9,.0f}/s", file=sys.stderr, flush=True
        )
    report: dict[str, Any] = {"at": stamp(), "cells": [asdict(cell) for cell in cells]}
    print_comparison(cells)
    if not options.no_ledger:
        report["ledger"] = await _ledger(stack, organization)
    if options.submissions:
        large = 10_000 * (4 * options.submissions + 10)
        found = await submissions(stack, await stack.an_organization(credits=large), rounds=options.submissions)
        print_submissions(found)
        report["submissions"] = [asdict(each) for each in found]
        bars = [(f"{each.urls} {each.name} x {each.at_once}", each.p50_ms) for each in found]
        draw_bars("p50 of a submission, ms", bars, FOLDER / f"{report['at']}-submissions.png")
    if options.full_table:
        filled = await filling(stack, await stack.an_organization(credits=1_000_000), rows=options.full_table)
        print_filling(filled)
        report["full_table"] = {**asdict(filled), "ratio": filled.ratio, "cpu_ratio": filled.cpu_ratio}
        sides_of = (("before, p50 ms", filled.before.p50_ms), ("after, p50 ms", filled.after.p50_ms),
                    ("before, cpu ms", filled.before.cpu_ms), ("after, cpu ms", filled.after.cpu_ms))  # fmt: skip
        draw_bars(f"1000 new urls and {filled.rows} others", sides_of, FOLDER / f"{report['at']}-full-table.png")
    if options.soak:
        soak = [await measure(sides[-1], connections=64, seconds=options.soak / SOAK_STEPS) for _ in range(SOAK_STEPS)]
        print_soak(soak)
        report["soak"] = [asdict(cell) for cell in soak]
    path = FOLDER / f"{report['at']}.json"
    path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    draw(cells, path.with_suffix(".png"))
    print(f"\nwritten: {path} and .png")  # noqa: T201
    while options.hold:
        await measure(sides[-1], connections=64, seconds=10.0)


async def _ledger(stack: Stack, organization: Organization) -> dict[str, Any]:
    """The figures of the ledger, told and to be written down; rounds as for the calls."""
    one = [UUID(organization.org_id)]
    many = await subscribed(stack, LEDGER_ORGANIZATIONS, plan=PLAN)
    full = {
        "one hot organization": await _middle_posting(stack, one),
        f"{LEDGER_ORGANIZATIONS:,} organizations": await _middle_posting(stack, many),
    }
    steady = await post(stack, one, records=3 * LEDGER_RATE, rate=LEDGER_RATE)
    print_ledger(full, steady, LEDGER_RATE)
    return {"full": {whose: asdict(posting) for whose, posting in full.items()}, "steady": asdict(steady)}


async def _middle_posting(stack: Stack, orgs: list[UUID]) -> Posting:
    postings = [await post(stack, orgs, records=LEDGER_RECORDS) for _ in range(LEDGER_ROUNDS)]
    return sorted(postings, key=lambda posting: posting.per_second)[LEDGER_ROUNDS // 2]


if __name__ == "__main__":
    sys.exit(main())
