"""The worker, the broker, the database or billing is killed while submissions stand at every step there is, with the whole system around
them. Then all comes back and the clients repeat: the ledger holds what is stored and not refunded, and every URL was paid for once.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.profile import RUN
from libs.common.ids import uuid7
from tests.support.stack import Organization
from tests.support.takedown_books import BOOKS, LEASED, OVER, PAID, STORED_FOR, System, a_breakable_system
from tests.support.takedowns_steps import DEBITED, STEPS, VARIABLE, Stops

CREDITS = 100_000
URLS = [f"https://piracy-site.com/{n}" for n in range(50)]  # of each of two creators
ALL = 2 * len(URLS)
REACHED_S_MAX = 60.0
PATIENCE_S = 2.0  # of clients whose answer may never come
REPEAT_S = 0.2
REPEATS_MAX = 300
NO_ANSWER = 0
# A whole system starts, and heals four times.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

STATUS = "SELECT max(status) FROM takedowns.batches WHERE org_id = $1 AND id > $2 AND id < $3"


@dataclass
class Client:
    """Somebody who submits for an organization."""

    session: aiohttp.ClientSession
    organization: Organization

    @property
    def org_id(self) -> uuid.UUID:
        return uuid.UUID(self.organization.org_id)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer; NO_ANSWER where the connection died."""
        headers = {"X-API-Key": self.organization.key}
        try:
            async with self.session.request(method, f"/api/platforms/{path}", json=body, headers=headers) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return NO_ANSWER, {}

    async def persist(self, method: str, path: str, body: Any = None) -> Any:
        """Repeat until it is answered with a 2xx."""
        seen = []
        for _ in range(REPEATS_MAX):
            status, told = await self.ask(method, path, body)
            if 200 <= status < 300:
                return told
            seen.append(status)
            assert status in {NO_ANSWER, 429, 500, 502, 503, 504}, (status, told)
            await asyncio.sleep(REPEAT_S)
        raise AssertionError(f"{method} {path}: never answered, {seen}")

    async def creators(self, count: int) -> list[str]:
        """Ids of new creators."""
        emails = [f"{uuid.uuid4().hex}@example.com" for _ in range(count)]
        links = [{"platform": "onlyfans", "handle": "someone"}]
        said = [{"stage_name": "Someone", "email": email, "official_links": links} for email in emails]
        await self.persist("POST", "submit-creators", {"creators": said})
        page = await self.persist("GET", "creators?limit=1000")
        return [creator["id"] for creator in page["creators"] if creator["email"] in emails]


@dataclass
class Submission:
    """One that stands at its step."""

    step: str
    client: Client
    creators: list[str]
    began: uuid.UUID  # batches of it have ids between these two
    ended: uuid.UUID
    answer: asyncio.Task[tuple[int, Any]]

    @property
    def body(self) -> dict[str, Any]:
        return body_of(self.creators)

    @property
    def ids(self) -> list[uuid.UUID]:
        return [uuid.UUID(id_) for id_ in self.creators]

    async def told(self) -> tuple[int, int]:
        """Status and how many were new, as its client was told before patience ended."""
        _, pending = await asyncio.wait([self.answer], timeout=PATIENCE_S)
        if pending:
            self.answer.cancel()
            return NO_ANSWER, 0
        status, said = self.answer.result()
        return status, said.get("new", 0)


def body_of(creators: list[str]) -> dict[str, Any]:
    return {"groups": [{"creator_id": id_, "urls": URLS} for id_ in creators]}


@dataclass
class World:
    """A running system, two clients (one organization may have four submissions under way), and the other side of the steps."""

    system: System
    clients: list[Client]
    stops: Stops

    async def standing(self) -> list[Submission]:
        """A submission at each step."""
        found = []
        creators = [await client.creators(len(STEPS)) for client in self.clients]
        for n, step in enumerate(STEPS):
            client, theirs = self.clients[n % 2], creators[n % 2]
            pair, began = [theirs.pop(), theirs.pop()], uuid7()
            if step == "confirmed":  # of this one, not of the one that stands still behind its commit
                await self.no_debit_waits()
            self.stops.want(step)
            answer = asyncio.create_task(client.ask("POST", "submit-urls", body_of(pair)))
            async with asyncio.timeout(REACHED_S_MAX):
                await self.stops.until_reached()
            found.append(Submission(step, client, pair, began, uuid7(), answer))
        return found

    async def no_debit_waits(self) -> None:
        async with asyncio.timeout(REACHED_S_MAX):
            while await self.system.sql("SELECT EXISTS (SELECT FROM takedowns.outbox WHERE type = $1)", DEBITED):
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        await self.system.settled(*(client.org_id for client in self.clients))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("steps")
    run = RUN / f"faults-{os.getpid()}-steps"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        async with a_breakable_system(run, credits_=CREDITS, launcher="tests.support.takedowns_launcher") as system:
            organizations = [system.organization, await system.stack.an_organization(credits=CREDITS)]
            timeout = aiohttp.ClientTimeout(total=40.0)
            async with aiohttp.ClientSession(system.stack.url, timeout=timeout) as session:
                yield World(system, [Client(session, each) for each in organizations], Stops(folder))


async def _nothing(_system: System) -> None:
    """The launcher starts it again."""


async def _worker(system: System) -> None:
    await system.stack.kill("takedowns")


async def _billing(system: System) -> None:
    await system.stack.kill("billing")


async def _broker(system: System) -> None:
    await system.servers.broker.kill_node()


async def _broker_again(system: System) -> None:
    await system.servers.broker.start_node()


async def _database(system: System) -> None:
    await system.servers.postgres.crash()


async def _database_again(system: System) -> None:
    await system.servers.postgres.start()


Act = Callable[[System], Awaitable[None]]
VICTIMS: dict[str, tuple[Act, Act]] = {
    "worker": (_worker, _nothing),
    "broker": (_broker, _broker_again),
    "database": (_database, _database_again),
    "billing": (_billing, _nothing),
}
# What a killed worker leaves behind: how its batch ends, and how much of it is stored. A message of which nothing was written comes again
# to the next worker, if there is one before the deadline.
LEFT: dict[str, set[tuple[str | None, int]]] = {
    "received": {(None, 0), ("accepted", ALL)}, "begun": {("failed", 0)}, "leased": {("failed", 0)}, "stored": {("failed", 0)},
    "settled": {("failed", 0)}, "group": {("partial", ALL // 2)}, "committed": {("accepted", ALL)}, "confirmed": {("accepted", ALL)},
}  # fmt: skip


@pytest.mark.parametrize("victim", VICTIMS)
async def test_whatever_is_killed_at_any_step_of_a_submission_every_url_is_paid_for_once(
    world: World, victim: str
) -> None:
    # given a submission for two creators at every step
    system = world.system
    before = {client.org_id: await system.sql(PAID, client.org_id) for client in world.clients}
    submissions = await world.standing()

    # when it is killed, the rest goes on, and all comes back
    kill, start = VICTIMS[victim]
    await kill(system)
    world.stops.let_go()
    await start(system)
    await system.stack.until_ready()
    told = dict(zip(STEPS, await asyncio.gather(*(each.told() for each in submissions)), strict=True))
    assert {status for status, _ in told.values()} <= {NO_ANSWER, 201, 500, 502, 503, 504}, told

    # then what is left is the ledger's and nobody's lease; the clients repeat, and all is paid for once
    await world.settled()
    if victim == "worker":
        for each in submissions:
            status = await system.sql(STATUS, each.client.org_id, each.began, each.ended)
            assert (status, await system.sql(STORED_FOR, each.ids)) in LEFT[each.step], each.step
    for each in submissions:
        had = await system.sql(STORED_FOR, each.ids)
        assert told[each.step][1] <= had, f"{each.step}: what was told new is stored"
        again = await each.client.persist("POST", "submit-urls", each.body)
        assert again["new"] == ALL - had, each.step
    await world.settled()
    for each in submissions:
        assert await system.sql(STORED_FOR, each.ids) == ALL, each.step

    # and a credit comes back once, however often it is asked for
    for each in submissions:
        page = await each.client.persist("GET", f"takedowns?creator_id={each.creators[0]}&limit=1")
        for _ in range(2):
            await each.client.persist("POST", f"takedowns/{page['takedowns'][0]['id']}/cancel", {})
    await world.settled()
    for client in world.clients:
        paid = before[client.org_id] + len(STEPS) // 2 * (ALL - 1)
        assert await system.sql(PAID, client.org_id) == paid
        assert await system.sql(BOOKS, client.org_id) == paid
        assert await system.sql(OVER, client.org_id) == 0
        assert await system.sql(LEASED, client.org_id) == 0
        assert await system.stack.balance(client.organization) == CREDITS - paid
