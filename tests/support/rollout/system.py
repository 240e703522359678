"""A system under load whose processes are replaced one by one, and whose customers must not notice."""

import asyncio
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from deploy.local.environment import service_of
from deploy.local.profile import write_private
from libs.common.db.migrate import migrate
from tests.support.faults.load import Load, Tenant
from tests.support.faults.money import Money
from tests.support.rollout import launcher
from tests.support.stack import Stack, a_stack

RICH_CREDITS: Final = 1_000_000  # of the plan `enterprise`
ORDER: Final = (
    "billing",
    "auth",
    "sessions",
    "takedowns",
    "edge",
)  # who consumes first; edges, who ask all others, last
REPLACED_SECONDS_MAX: Final = 90.0
BETWEEN_S: Final = 0.5  # of load on the new mixture, before the next process
_LOOK_SECONDS: Final = 0.1
_REPLICAS: Final = {
    "FANGATE_EDGE_PROCESSES": "2", "FANGATE_REPLICAS_AUTH": "2", "FANGATE_REPLICAS_BILLING": "2",
    "FANGATE_REPLICAS_SESSIONS": "2", "FANGATE_REPLICAS_TAKEDOWNS": "2",
}  # fmt: skip


@dataclass(slots=True)
class Rollout:
    """`stack` under `load`; `statuses` is everything customers were answered so far."""

    stack: Stack
    folder: Path
    load: Load
    money: Money
    tenants: list[Tenant]
    replaced: list[str] = field(default_factory=list)

    def instances(self, *services: str) -> list[str]:
        """The processes of these services, in this order."""
        return [name for service in services for name in self.stack.admin_urls if service_of(name) == service]

    async def replace(self, instances: Sequence[str], *, release: Path | None = None) -> None:
        """One process after the other: end it in good order, start it on `release` (none: as it was), wait until it is ready."""
        for name in instances:
            if release is not None:
                write_private(launcher.release_file(self.folder, name), str(release))
            before = self.stack.processes()[name]
            self.stack.terminate(name)
            await self._until_another(name, before)
            self.replaced.append(name)
            await asyncio.sleep(BETWEEN_S)

    async def migrate(self, release: Path) -> list[str]:
        """Bring the schema to what `release` needs, while everybody works on it."""
        return await migrate(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"], root=release / "services")

    def ring(self, name: str) -> str:
        """A ring of keys, as its file has it."""
        return launcher.ring_file(self.folder, name).read_text(encoding="utf-8")

    def write_ring(self, name: str, text: str) -> None:
        """Change a ring's file; processes read it when they start. Command lines of this test get it as well."""
        write_private(launcher.ring_file(self.folder, name), text)
        self.stack.env[name] = text

    async def versions(self) -> dict[str, str]:
        """What each process says it is, by its name."""
        return {name: await self._version(url) for name, url in self.stack.admin_urls.items()}

    def statuses(self) -> Counter[int]:
        """What customers were answered since the books were last compared."""
        return sum((tenant.tally.statuses for tenant in self.tenants), Counter())

    async def _version(self, url: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
            line = next(line for line in (await answer.text()).splitlines() if line.startswith("fangate_build_info{"))
        return line.partition('version="')[2].partition('"')[0]

    async def _until_another(self, name: str, before: int) -> None:
        end = time.monotonic() + REPLACED_SECONDS_MAX
        async with aiohttp.ClientSession() as session:
            while self.stack.processes().get(name) in {None, before} or not await self._is_ready(session, name):
                assert time.monotonic() < end, f"{name} was not replaced: {self.stack.log_tail(name)}"
                await asyncio.sleep(_LOOK_SECONDS)

    async def _is_ready(self, session: aiohttp.ClientSession, name: str) -> bool:
        try:
            async with session.get(f"{self.stack.admin_urls[name]}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@contextlib.asynccontextmanager
async def rollout(run: Path, *, customers: int, release: Path | None = None, **settings: str) -> AsyncIterator[Rollout]:
    """A fresh system, two processes of every service, two organizations with `customers` each at work. With `release` it
    starts on that code.
    """
    folder = run.with_name(f"{run.name}-rollout")
    os.environ[launcher.FOLDER] = str(folder)  # for the launcher
    try:
        if release is not None:
            for service in ORDER:
                for name in (service, f"{service}-2"):
                    write_private(launcher.release_file(folder, name), str(release))
        async with a_stack(run, launcher=launcher.__name__, **_REPLICAS, **settings) as stack:
            tenants = [
                Tenant(await stack.an_organization(plan="enterprise"), granted=RICH_CREDITS, is_scarce=False)
                for _ in range(2)
            ]
            load = Load(stack, tenants, workers=customers)
            working = asyncio.create_task(load.run())
            try:
                yield Rollout(stack, folder, load, Money(stack, tenants), tenants)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
