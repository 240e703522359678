"""`python -m tests.support.faults`: the long form of the fault suite; prints the table and writes docs/reliability.md.

Exit status 1 if any figure is wrong.
"""

import argparse
import asyncio
import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deploy.local.profile import ROOT, RUN
from tests.support.faults.campaign import Campaign, campaign
from tests.support.faults.faults import FAULTS
from tests.support.faults.report import earlier, keep, markdown, put_into, taken
from tests.support.faults.world import Fault

VERIFY_EACH: Final = 10  # faults: `verify` reads the whole ledger
FEED_EACH, FEED_CREDITS = 6, 300
RICH, WORKERS = 3, 4


def main(argv: Sequence[str]) -> int:
    """Run until there were enough faults and calls; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faults", type=int, default=200, help="at least")
    parser.add_argument("--calls", type=int, default=100_000, help="at least")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the order of faults")
    parser.add_argument("--only", default="", help="faults whose name matches this expression")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="at most, for this take; the table says what there is"
    )
    parser.add_argument(
        "--takes", type=Path, help="a folder of takes: goes on after those in it, and keeps this one there"
    )
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "reliability.md", help="the table")
    options = parser.parse_args(argv)
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    takes = earlier(options.takes) if options.takes else []
    async with campaign(RUN / f"faults-{os.getpid()}", rich=RICH, workers=WORKERS, say=_say) as driver:
        done = {outcome.fault for take in takes for outcome in take.outcomes}
        for fault in _order(_chosen(driver, options.only), random.Random(options.seed), done):
            count = len(driver.outcomes)
            await driver.strike(fault, verify=count % VERIFY_EACH == 0)
            if count % FEED_EACH == 0:
                await driver.feed(FEED_CREDITS)
            faults = sum(len(take.outcomes) for take in takes) + count + 1
            calls = sum(take.calls for take in takes) + driver.money.seen.calls
            is_late = time.monotonic() - started > options.minutes * 60
            if is_late or (faults >= options.faults and calls >= options.calls):
                break
        take = await taken(driver, seconds=time.monotonic() - started, seed=options.seed)
    takes.append(take)
    if options.takes:
        keep(take, options.takes)
    text = markdown(takes)
    if faults >= options.faults and calls >= options.calls:
        put_into(options.write, text)
    _say(text)
    return 0 if all(take.is_well for take in takes) else 1


def _chosen(driver: Campaign, only: str) -> list[Fault]:
    """What was asked for, less what this machine does not allow."""
    asked = [fault for fault in FAULTS if re.search(only, fault.name)]
    possible = [fault for fault in asked if fault.needs(driver.world)]
    for fault in asked:
        if fault not in possible:
            _say(f"left out, this machine does not allow it: {fault.name}")
    return possible


def _order(faults: list[Fault], chance: random.Random, done: set[str]) -> Iterator[Fault]:
    """Those that earlier takes did not reach first, then all of them; in a random order, the long ones only once."""
    asked = [fault for fault in faults if fault.name not in done]
    while True:
        chance.shuffle(asked)
        yield from asked
        asked = [fault for fault in faults if not fault.is_long]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
