"""Submissions, cancellations and deletions go on while a worker, billing, the edge, the broker and the database are killed, each at
moments nobody chose: the ledger always holds what is stored and not refunded, and whoever got no answer may repeat.
"""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.profile import RUN
from tests.support.takedown_books import BOOKS, OVER, PAID, STORED_FOR, System, a_breakable_system

CREDITS = 100_000
WORKERS = 3  # one organization may have four submissions under way
URLS = 150  # of one submission
LOAD_S = 2.0  # before the first kill, between two, and after the last
KILLS = 3
NO_ANSWER = 0
# A whole system starts, and heals three times.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system() -> AsyncIterator[System]:
    async with a_breakable_system(RUN / f"faults-{os.getpid()}-submissions", credits_=CREDITS) as started:
        yield started


@dataclass
class Clients:
    """Those who submit, and what they were told."""

    session: aiohttp.ClientSession
    chance: random.Random
    creators: list[str] = field(default_factory=list)
    pools: dict[str, list[str]] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)
    told_new: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def register(self) -> None:
        email = f"{uuid.uuid4().hex}@example.com"
        links = [{"platform": "onlyfans", "handle": "someone"}]
        body = {"creators": [{"stage_name": "Someone", "email": email, "official_links": links}]}
        assert (await self.ask("POST", "submit-creators", body))[0] == 201
        _, page = await self.ask("GET", "creators?limit=1000")
        (id_,) = [creator["id"] for creator in page["creators"] if creator["email"] == email]
        self.creators.append(id_)
        self.pools[id_] = [f"https://leak-{n % 7}.com/{id_}/{n}" for n in range(20 * URLS)]

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer; NO_ANSWER where the connection died."""
        try:
            async with self.session.request(method, path, json=body) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return NO_ANSWER, {}

    async def submit_for_ever(self) -> None:
        """URLs in common with the others, of one or two creators; refused ones are simply sent again later."""
        while not self.stop.is_set():
            groups = [
                {"creator_id": id_, "urls": self.chance.sample(self.pools[id_], URLS)}
                for id_ in self.chance.sample(self.creators, self.chance.randint(1, 2))
            ]
            status, told = await self.ask("POST", "submit-urls", {"groups": groups})
            self.seen[status] += 1
            if status in {201, 207}:
                self.told_new += told["new"]
            else:
                await asyncio.sleep(0.1)

    async def submit_everything(self) -> int:
        """Each URL of every living creator once more; answers how many were still new."""
        new = 0
        for id_ in self.creators:
            for at in range(0, len(self.pools[id_]), 10 * URLS):
                body = {"groups": [{"creator_id": id_, "urls": self.pools[id_][at : at + 10 * URLS]}]}
                while True:
                    status, told = await self.ask("POST", "submit-urls", body)
                    if status == 201:
                        break
                    await asyncio.sleep(0.2)
                new += told["new"]
        return new


def kill(service: str) -> Callable[[System], Awaitable[None]]:
    async def run(system: System) -> None:
        await system.stack.until_ready()  # the fault before may have ended it, and it is being started again
        await system.stack.kill(service)

    return run


async def broker_restart(system: System) -> None:
    await system.servers.broker.kill_node()
    await system.servers.broker.start_node()


async def wires_cut(system: System) -> None:
    system.servers.broker_wire.cut()
    system.servers.postgres_wire.cut()
    await asyncio.sleep(0)


async def database_restart(system: System) -> None:
    await system.servers.postgres.crash()
    await system.servers.postgres.start()


FAULTS = {
    "the worker is killed": kill("takedowns"),
    "billing is killed": kill("billing"),
    "the edge is killed": kill("edge"),
    "the broker is killed and started": broker_restart,
    "connections to broker and database are cut": wires_cut,
    "the database crashes and recovers": database_restart,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_books_and_rows_agree_whatever_is_killed_under_submissions(system: System, fault: str) -> None:
    # given clients that submit, and one that takes a creator out
    org_id = system.org_id
    session = aiohttp.ClientSession(
        f"{system.stack.url}/api/platforms/", headers={"X-API-Key": system.organization.key},
        timeout=aiohttp.ClientTimeout(total=40.0),
    )  # fmt: skip
    async with session:
        clients = Clients(session, random.Random(fault))
        for _ in range(3):
            await clients.register()
        before_new = await system.sql(PAID, org_id)
        workers = [asyncio.create_task(clients.submit_for_ever()) for _ in range(WORKERS)]

        # when it happens, three times, at any moment of their submissions
        for n in range(KILLS):
            await asyncio.sleep(LOAD_S * clients.chance.uniform(0.5, 1.5))
            await FAULTS[fault](system)
            if n == 0:
                gone = clients.creators.pop()
                await clients.ask(
                    "DELETE", f"creators/{gone}"
                )  # with or without an answer; its URLs are refunded or live on
        await system.stack.until_ready()
        await asyncio.sleep(LOAD_S)
        clients.stop.set()
        await asyncio.gather(*workers)
        assert clients.seen[201] > 0
        assert set(clients.seen) <= {NO_ANSWER, 201, 207, 404, 429, 500, 502, 503, 504}, clients.seen
        await system.settled()

        # then the ledger holds what is stored and not refunded, and nothing is set aside
        assert await system.sql(BOOKS, org_id) == await system.sql(PAID, org_id)
        assert await system.sql(OVER, org_id) == 0
        assert await system.stack.balance(system.organization) == CREDITS - await system.sql(PAID, org_id)
        ids = [uuid.UUID(id_) for id_ in (*clients.creators, gone)]
        assert clients.told_new <= await system.sql(STORED_FOR, ids), "what was told new is stored"
        assert before_new <= await system.sql(PAID, org_id)

        # and what got no answer can be sent again: in the end every URL is paid for exactly once
        had = await system.sql(STORED_FOR, ids[:-1])
        assert await clients.submit_everything() == sum(len(clients.pools[id_]) for id_ in clients.creators) - had
        await system.settled()
        assert await system.sql(BOOKS, org_id) == await system.sql(PAID, org_id)
