"""One run: a system of its own under load, fault after fault, the money check after each, and the table at the end."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from tests.support.faults import clocks
from tests.support.faults.load import NO_ANSWER, Load, Tenant
from tests.support.faults.money import Figures, Money
from tests.support.faults.servers import fault_servers
from tests.support.faults.world import Fault, Meanwhile, World
from tests.support.stack import a_stack

BEFORE_S: Final = 0.7  # load before a fault and after its end
SCARCE_CREDITS: Final = 150
RICH_CREDITS: Final = 1_000_000  # of the plan `enterprise`
QUIET_SECONDS_MAX: Final = 60.0  # what is reserved after it is leaked: leases are final by then (`LeaseRules`)
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault did."""

    fault: str
    heal_s: float  # from its end until every service was ready and a call answered 200
    figures: Figures
    is_shown: bool  # its metric moved, if it has one
    improper: list[str]
    meanwhile: dict[int, int]  # how often which status was answered

    @property
    def is_well(self) -> bool:
        return not self.figures.wrong and self.is_shown and not self.improper


@dataclass(slots=True)
class Campaign:
    """A system under faults."""

    world: World
    tenants: list[Tenant]
    load: Load
    money: Money
    say: Callable[[str], None]
    outcomes: list[Outcome] = field(default_factory=list)

    async def strike(self, fault: Fault, *, verify: bool) -> Outcome:
        """One fault under load, healed, settled and checked."""
        figures, unanswered = Figures(), self.money.seen.statuses[NO_ANSWER]
        self.world.meanwhile = Counter()
        self.load.resume()
        await asyncio.sleep(BEFORE_S)
        improper: list[str] = []
        try:
            is_shown = await self._run_and_watch(fault)
        except Exception as exc:  # the run goes on: whether what it left behind heals is worth knowing
            is_shown, improper = False, [f"the fault itself failed: {exc!r}"]
        ended = time.monotonic()
        await self._until_it_serves()
        heal_s = time.monotonic() - ended
        await asyncio.sleep(BEFORE_S)
        await self.load.pause()
        await self.world.stack.until_ready()
        figures.add(await self.money.check())
        if verify:
            figures.drift += await self.money.drift()
        improper += [*self._improper_meanwhile(fault), *self.money.seen.improper[:3]]
        self.money.seen.improper.clear()
        if self.money.seen.statuses[NO_ANSWER] > unanswered and not fault.loses_answers:
            improper.append("calls without an answer")
        outcome = Outcome(fault.name, heal_s, figures, is_shown, improper, dict(self.world.meanwhile))
        self.outcomes.append(outcome)
        word = "ok" if outcome.is_well else f"WRONG {figures.wrong} shown={is_shown} {improper}"
        self.say(
            f"{len(self.outcomes):4} {fault.name:<38} healed {heal_s:6.2f} s  calls {self.money.seen.calls:7}  {word}"
        )
        return outcome

    async def feed(self, credits: int) -> None:  # noqa: A002
        """A little money for those who live from hand to mouth."""
        for tenant in self.tenants:
            if tenant.is_scarce:
                grant = ("--org", tenant.organization.org_id, "--credits", str(credits), "--kind", "topup")
                await self.world.stack.cli("billing", "grant", *grant, "--memo", "faults")
                tenant.granted += credits

    async def keep_quiet(self) -> tuple[int, float]:
        """Credits still reserved when nobody calls any more, and after how many seconds there were none."""
        started = time.monotonic()
        while (reserved := await self.money.reserved()) and time.monotonic() - started < QUIET_SECONDS_MAX:
            await asyncio.sleep(1.0)
        return reserved, time.monotonic() - started

    def _improper_meanwhile(self, fault: Fault) -> list[str]:
        """What customers were answered against the promise."""
        answers = self.world.meanwhile
        served = answers[200] + answers[201]
        if (fault.meanwhile is Meanwhile.SERVED and not served) or (fault.meanwhile is Meanwhile.REFUSED and served):
            return [f"meanwhile customers should be {fault.meanwhile.value}: {dict(answers)}"]
        return []

    async def _run_and_watch(self, fault: Fault) -> bool:
        if fault.shows is None:
            await fault.run(self.world)
            return True
        before = await self.world.stack.metric(*fault.shows)
        watching = asyncio.create_task(self._until_above(fault.shows, before))
        try:
            await fault.run(self.world)
            with contextlib.suppress(TimeoutError):  # what a counter counts may come just behind the end
                await asyncio.wait_for(asyncio.shield(watching), 5.0)
            return watching.done() and watching.result() is None  # an error of the watching itself is not swallowed
        finally:
            watching.cancel()

    async def _until_above(self, figure: tuple[str, ...], before: float) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                if await self.world.stack.metric(*figure) > before:
                    return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _until_it_serves(self) -> None:
        """Everything is ready, and a customer with money is answered."""
        await self.world.stack.until_ready()
        rich = next(tenant for tenant in self.tenants if not tenant.is_scarce)
        since = rich.tally.statuses[200]
        async with asyncio.timeout(QUIET_SECONDS_MAX):
            while rich.tally.statuses[200] < since + 3:  # its own customers, so that every call is in one book
                await asyncio.sleep(_LOOK_SECONDS)


@contextlib.asynccontextmanager
async def campaign(
    run: Path, *, rich: int, workers: int, say: Callable[[str], None], **settings: str
) -> AsyncIterator[Campaign]:
    """A fresh system with `rich` organizations with much money and one with little, each with `workers` customers. `settings`
    (`FANGATE_…`) are its own.
    """
    folder = run / "clocks"
    os.environ[clocks.FOLDER] = str(folder)  # for the launcher
    own = "tests.support.faults.launcher"
    async with fault_servers(run) as servers, a_stack(run, launcher=own, **servers.settings(), **settings) as stack:
        tenants = [
            Tenant(await stack.an_organization(plan="enterprise"), granted=RICH_CREDITS, is_scarce=False)
            for _ in range(rich)
        ]
        scarce = await stack.an_organization(credits=SCARCE_CREDITS)
        tenants.append(Tenant(scarce, granted=SCARCE_CREDITS, is_scarce=True))
        load = Load(stack, tenants, workers=workers)
        working = asyncio.create_task(load.run())
        try:
            world = World(stack, servers, folder, lambda: _answers(tenants), load.burst)
            yield Campaign(world, tenants, load, Money(stack, tenants), say)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _answers(tenants: list[Tenant]) -> Counter[int]:
    """What they were answered since the last check."""
    answers: Counter[int] = Counter()
    for tenant in tenants:
        answers.update(tenant.tally.statuses)
    return answers
