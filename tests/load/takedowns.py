"""Submissions under load, end to end: HTTP to the edge, the bus, a lease of billing, Postgres, and back.

Every submission is of URLs that were never seen (or, for duplicates, of one that was stored before); the books are checked at the end.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import asyncpg

from tests.load.processes import Cost, costs, spent
from tests.support.stack import Organization, Stack

LARGE_URLS: Final = 10_000
MIDDLE_URLS: Final = 1_000
FILL_ROWS: Final = 100_000  # of one statement
_FILL: Final = """
INSERT INTO takedowns.urls (creator_id, id, url_key, url, host_id, batch_id, state, first_notice_at, removed_at, next_action_at)
SELECT CASE WHEN n % 5 = 0 THEN $1 ELSE 1000000 + n / 2000 END,
       ('0190' || lpad(to_hex(n), 8, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       decode(md5('fill' || n), 'hex'), 'https://leak-host-' || n % 300 || '.com/' || md5(n::text) || '/' || n, 1 + n % 300,
       ('0190' || lpad(to_hex(n / 1000), 8, '0') || '70008' || repeat('0', 15))::uuid, 8, now(), now(), now() + interval '90 days'
  FROM generate_series($2::int, $3::int) AS s(n)"""
_LEFT_OVER: Final = """
SELECT EXISTS (SELECT FROM takedowns.hosts WHERE resolve_tries = 0) OR EXISTS (SELECT FROM takedowns.urls WHERE state = 1)"""
SMALL_URLS: Final = 100
QUIET_SECONDS: Final = 2.0
QUIET_CORES: Final = 0.2
QUIET_LOOKS_MAX: Final = 150
TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submissions:
    """What became of a number of submissions of one size, `at_once` at a time."""

    name: str
    urls: int  # of each
    count: int
    at_once: int
    seconds: float  # of all together
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float  # of the whole stack, for each; what follows an acceptance is in it as far as it fell into this time

    @property
    def urls_per_second(self) -> float:
        return self.urls * self.count / self.seconds


class Submitter:
    """One creator of one organization, and an endless supply of URLs."""

    def __init__(self, session: aiohttp.ClientSession, creator_id: str) -> None:
        self._session = session
        self.creator_id = creator_id
        self._made = 0
        self.paid = 0

    def fresh(self, urls: int) -> dict[str, Any]:
        """A body of URLs that nobody has sent yet, on a few hundred hosts."""
        first, self._made = self._made, self._made + urls
        made = [f"https://leak-host-{n % 300}.com/{uuid.uuid4().hex}/{n}" for n in range(first, first + urls)]
        return {"groups": [{"creator_id": self.creator_id, "urls": made}]}

    async def send(self, body: dict[str, Any], *, new: int) -> float:
        """Milliseconds from request to answer, which must say that `new` were new."""
        started = time.perf_counter()
        async with self._session.post("submit-urls", json=body) as answer:
            told = await answer.json()
        took_ms = (time.perf_counter() - started) * 1_000
        assert answer.status == 201, told
        assert told["new"] == new, told
        self.paid += new
        return took_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """The same submissions into a table with next to nothing in it, and with `rows` more."""

    rows: int
    seconds: float  # of the filling
    before: Submissions
    after: Submissions

    @property
    def ratio(self) -> float:
        """Of the medians: what growth costs."""
        return self.after.p50_ms / self.before.p50_ms

    @property
    def cpu_ratio(self) -> float:
        return self.after.cpu_ms / self.before.cpu_ms


async def filling(stack: Stack, organization: Organization, *, rows: int, rounds: int = 30) -> Filling:
    """1,000 new URLs at a time, before and after `rows` others are stored: a fifth of them of the very same creator."""
    headers = {"X-API-Key": organization.key}
    async with aiohttp.ClientSession(f"{stack.url}/api/platforms/", headers=headers, timeout=TIMEOUT) as session:
        one = await _submitter(session)
        await one.send(one.fresh(MIDDLE_URLS), new=MIDDLE_URLS)
        await _quiet(stack)
        before = await _one_by_one(stack, one, "new", [one.fresh(MIDDLE_URLS) for _ in range(rounds)], MIDDLE_URLS)
        started = time.perf_counter()
        await _fill(stack, one.creator_id, rows)
        seconds = time.perf_counter() - started
        await one.send(one.fresh(MIDDLE_URLS), new=MIDDLE_URLS)
        await _quiet(stack)
        after = await _one_by_one(stack, one, "new", [one.fresh(MIDDLE_URLS) for _ in range(rounds)], MIDDLE_URLS)
    return Filling(rows=rows, seconds=seconds, before=before, after=after)


async def _quiet(stack: Stack) -> None:
    """Wait until every host was tried and every URL started, and the machine is idle: what is left over from before is not to be timed."""
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        for _ in range(QUIET_LOOKS_MAX):
            before = costs(stack.processes())
            await asyncio.sleep(QUIET_SECONDS)
            is_idle = _cpu_s(stack, before) < QUIET_SECONDS * QUIET_CORES
            if is_idle and not await connection.fetchval(_LEFT_OVER):
                return
    finally:
        await connection.close()
    raise AssertionError(f"the system is still busy after {QUIET_LOOKS_MAX * QUIET_SECONDS:.0f} s")


async def _fill(stack: Stack, creator_id: str, rows: int) -> None:
    """Rows as they are when all is over: removed long ago, looked at again in three months."""
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        number = await connection.fetchval(
            "SELECT id FROM takedowns.creators WHERE public_id = $1", uuid.UUID(creator_id)
        )
        for first in range(0, rows, FILL_ROWS):
            await connection.execute(_FILL, number, first, min(rows, first + FILL_ROWS) - 1, timeout=600)
        await connection.execute("VACUUM (ANALYZE) takedowns.urls", timeout=600)
        await connection.execute("CHECKPOINT", timeout=600)
    finally:
        await connection.close()


async def submissions(
    stack: Stack, organization: Organization, *, rounds: int, large: int = LARGE_URLS
) -> list[Submissions]:
    """The sizes and shapes that are promised, `rounds` large ones of each."""
    headers = {"X-API-Key": organization.key}
    async with aiohttp.ClientSession(f"{stack.url}/api/platforms/", headers=headers, timeout=TIMEOUT) as session:
        one = await _submitter(session)
        await one.send(one.fresh(large), new=large)  # warm: hosts were tried from here on
        known = one.fresh(large)
        await one.send(known, new=large)
        found = []
        phases: tuple[Callable[[], Awaitable[Submissions]], ...] = (
            lambda: _one_by_one(stack, one, "new", [one.fresh(large) for _ in range(rounds)], large),
            lambda: _one_by_one(stack, one, "duplicate", [known] * rounds, large, is_new=False),
            lambda: _one_by_one(stack, one, "new", [one.fresh(SMALL_URLS) for _ in range(10 * rounds)], SMALL_URLS),
            lambda: _side_by_side(stack, one, rounds, large),
        )
        for phase in phases:
            await _quiet(stack)
            found.append(await phase())
        assert await stack.balance(organization) == organization.credits - one.paid
    return found


async def _submitter(session: aiohttp.ClientSession) -> Submitter:
    links = [{"platform": "onlyfans", "handle": "bench"}]
    body = {"creators": [{"stage_name": "Bench", "email": "bench@example.com", "official_links": links}]}
    async with session.post("submit-creators", json=body) as answer:
        assert answer.status == 201, await answer.text()
    async with session.get("creators") as answer:
        return Submitter(session, (await answer.json())["creators"][0]["id"])


async def _one_by_one(
    stack: Stack, one: Submitter, name: str, bodies: list[dict[str, Any]], urls: int, *, is_new: bool = True
) -> Submissions:
    before, started = costs(stack.processes()), time.perf_counter()
    took_ms = [await one.send(body, new=urls if is_new else 0) for body in bodies]
    return _outcome(name, urls, 1, time.perf_counter() - started, took_ms, _cpu_s(stack, before))


async def _side_by_side(stack: Stack, one: Submitter, rounds: int, large: int, at_once: int = 4) -> Submissions:
    """As many at a time as one organization may have: what one worker stores in a second."""
    bodies = [one.fresh(large) for _ in range(2 * rounds)]

    async def line() -> list[float]:
        took_ms = []
        while bodies:
            took_ms.append(await one.send(bodies.pop(), new=large))
        return took_ms

    before, started = costs(stack.processes()), time.perf_counter()
    lines = await asyncio.gather(*(line() for _ in range(at_once)))
    seconds = time.perf_counter() - started
    cpu_s = _cpu_s(stack, before)
    return _outcome("new", large, at_once, seconds, [ms for took_ms in lines for ms in took_ms], cpu_s)


def _cpu_s(stack: Stack, before: Mapping[str, Cost]) -> float:
    return sum(spent(before, costs(stack.processes())).values())


def _outcome(name: str, urls: int, at_once: int, seconds: float, took_ms: list[float], cpu_s: float) -> Submissions:
    ordered = sorted(took_ms)
    return Submissions(
        name=name, urls=urls, count=len(ordered), at_once=at_once, seconds=seconds, p50_ms=ordered[len(ordered) // 2],
        p99_ms=ordered[len(ordered) * 99 // 100], max_ms=ordered[-1], cpu_ms=1_000 * cpu_s / len(ordered),
    )  # fmt: skip
