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
from tests.support.faults.report import markdown, put_into, total
from tests.support.faults.world import Fault

VERIFY_EACH: Final = 10  # faults: `verify` reads the whole ledger
FEED_EACH, FEED_CREDITS = 3, 150
RICH, WORKERS = 3, 4


def main(argv: Sequence[str]) -> int:
    """Run until there were enough faults and calls; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faults", type=int, default=200, help="at least")
    parser.add_argument("--calls", type=int, default=100_000, help="at least")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the order of faults")
    parser.add_argument("--only", default="", help="faults whose name matches this expression")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "reliability.md", help="the table")
    options = parser.parse_args(argv)
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    run = RUN / f"faults-{os.getpid()}"
    async with campaign(run, rich=RICH, workers=WORKERS, say=_say) as driver:
        for fault in _order(_chosen(driver, options.only), random.Random(options.seed)):
            count = len(driver.outcomes)
            await driver.strike(fault, verify=count % VERIFY_EACH == 0)
            if count % FEED_EACH == 0:
                await driver.feed(FEED_CREDITS)
            if count + 1 >= options.faults and driver.money.seen.calls >= options.calls:
                break
        return await _conclude(driver, options, started)


async def _conclude(driver: Campaign, options: argparse.Namespace, started: float) -> int:
    leaked, quiet_s = await driver.keep_quiet()
    figures = total(driver, leaked=leaked)
    figures.drift += await driver.money.drift()
    seconds, waived = time.monotonic() - started, await driver.money.waived()
    text = markdown(driver, figures, seconds=seconds, quiet_s=quiet_s, waived=waived, seed=options.seed)
    put_into(options.write, text)
    _say(text)
    return 0 if not figures.wrong and all(outcome.is_well for outcome in driver.outcomes) else 1


def _chosen(driver: Campaign, only: str) -> list[Fault]:
    """What was asked for, less what this machine does not allow."""
    asked = [fault for fault in FAULTS if re.search(only, fault.name)]
    possible = [fault for fault in asked if fault.needs(driver.world)]
    for fault in asked:
        if fault not in possible:
            _say(f"left out, this machine does not allow it: {fault.name}")
    return possible


def _order(faults: list[Fault], chance: random.Random) -> Iterator[Fault]:
    """All of them in a random order, and so on; the long ones in the first round only."""
    first = True
    while True:
        round_ = [fault for fault in faults if first or not fault.is_long]
        chance.shuffle(round_)
        yield from round_
        first = False


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
