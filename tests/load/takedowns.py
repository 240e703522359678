"""Submissions under load, end to end: HTTP to the edge, the bus, a lease of billing, Postgres, and back.

Every submission is of URLs that were never seen (or, for duplicates, of one that was stored before); the books are checked at the end.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from tests.support.stack import Organization, Stack

LARGE_URLS: Final = 10_000
SMALL_URLS: Final = 100
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

    @property
    def urls_per_second(self) -> float:
        return self.urls * self.count / self.seconds


class Submitter:
    """One creator of one organization, and an endless supply of URLs."""

    def __init__(self, session: aiohttp.ClientSession, creator_id: str) -> None:
        self._session = session
        self._creator_id = creator_id
        self._made = 0
        self.paid = 0

    def fresh(self, urls: int) -> dict[str, Any]:
        """A body of URLs that nobody has sent yet, on a few hundred hosts."""
        first, self._made = self._made, self._made + urls
        made = [f"https://leak-host-{n % 300}.com/{uuid.uuid4().hex}/{n}" for n in range(first, first + urls)]
        return {"groups": [{"creator_id": self._creator_id, "urls": made}]}

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


async def submissions(
    stack: Stack, organization: Organization, *, rounds: int, large: int = LARGE_URLS
) -> list[Submissions]:
    """The sizes and shapes that are promised, `rounds` large ones of each."""
    headers = {"X-API-Key": organization.key}
    async with aiohttp.ClientSession(f"{stack.url}/api/platforms/", headers=headers, timeout=TIMEOUT) as session:
        one = await _submitter(session)
        await one.send(one.fresh(large), new=large)  # warm: hosts are known from here on
        known = one.fresh(large)
        await one.send(known, new=large)
        found = [
            await _one_by_one(one, "new", [one.fresh(large) for _ in range(rounds)], large, is_new=True),
            await _one_by_one(one, "duplicate", [known] * rounds, large, is_new=False),
            await _one_by_one(one, "new", [one.fresh(SMALL_URLS) for _ in range(10 * rounds)], SMALL_URLS, is_new=True),
            await _side_by_side(one, rounds, large),
        ]
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
    one: Submitter, name: str, bodies: list[dict[str, Any]], urls: int, *, is_new: bool
) -> Submissions:
    started = time.perf_counter()
    took_ms = [await one.send(body, new=urls if is_new else 0) for body in bodies]
    return _outcome(name, urls, 1, time.perf_counter() - started, took_ms)


async def _side_by_side(one: Submitter, rounds: int, large: int, at_once: int = 4) -> Submissions:
    """As many at a time as one organization may have: what one worker stores in a second."""
    bodies = [one.fresh(large) for _ in range(2 * rounds)]

    async def line() -> list[float]:
        took_ms = []
        while bodies:
            took_ms.append(await one.send(bodies.pop(), new=large))
        return took_ms

    started = time.perf_counter()
    lines = await asyncio.gather(*(line() for _ in range(at_once)))
    seconds = time.perf_counter() - started
    return _outcome("new", large, at_once, seconds, [ms for took_ms in lines for ms in took_ms])


def _outcome(name: str, urls: int, at_once: int, seconds: float, took_ms: list[float]) -> Submissions:
    ordered = sorted(took_ms)
    return Submissions(
        name=name, urls=urls, count=len(ordered), at_once=at_once, seconds=seconds, p50_ms=ordered[len(ordered) // 2],
        p99_ms=ordered[len(ordered) * 99 // 100], max_ms=ordered[-1],
    )  # fmt: skip
