"""`python -m tests.load.day`: a day of many organizations, accelerated, on a system of its own.

Few organizations call much and most call little (Zipf); the hours have their ups and downs, with a rush at noon; every tenth call
sends a message. Once an hour of the day: calls, latencies, the longest queues, credits. At the end the ledger must hold what was
answered, credit for credit. The load is bounded: what a busy machine cannot take is counted as late, not piled up.
"""

import asyncio
import itertools
import json
import math
import os
import random
import statistics
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import aio_pika
import aiohttp
import asyncpg

from deploy.local.profile import RUN
from deploy.system import QUEUES_IN_USE
from tests.load.plot import INK, MARGIN, WIDTH, Canvas
from tests.load.population import populate
from tests.support.stack import Organization, Stack, a_stack

HOURS: Final = 24
SKEW: Final = 1.1  # Zipf: the first organization calls about a seventh of all
WRITES_OF: Final = 10  # every tenth call sends a message
CALLS_PER_SECOND: Final = 20.0  # mean
UNDER_WAY_MAX: Final = 64
TICK_SECONDS: Final = 0.1
PLAN, PLAN_CREDITS, PLAN_PER_MINUTE = "day", 100_000, 5_000
QUIET_SECONDS_MAX: Final = 120.0
# The shape of a day: quiet at night, a rush at noon, an evening.
SHAPE: Final = (
    0.3, 0.2, 0.15, 0.15, 0.2, 0.3, 0.5, 0.8, 1.0, 1.1, 1.2, 1.5, 3.0, 1.6, 1.2, 1.1, 1.1, 1.2, 1.4, 1.6, 1.7, 1.4, 0.8, 0.5,
)  # fmt: skip


@dataclass(slots=True)
class Hour:
    """What one hour of the day saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    credits: int = 0
    late: int = 0  # calls that the bound held back
    queues: Counter[str] = field(default_factory=Counter)  # the most messages that waited

    def figures(self) -> dict[str, float]:
        """As they are shown."""
        ordered = sorted(self.seconds)
        return {
            "calls": len(ordered),
            "p50_ms": 1_000 * statistics.median(ordered) if ordered else 0.0,
            "p99_ms": 1_000 * ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)))] if ordered else 0.0,
            "queued": max(self.queues.values(), default=0),
            "credits": self.credits,
            "late": self.late,
            "not_2xx": sum(count for status, count in self.statuses.items() if status >= 300 or not status),
        }


@dataclass(frozen=True, slots=True)
class Day:
    """A day that was played."""

    hours: list[Hour]
    paid_credits: int  # of the answers
    debited_credits: int  # of the ledger
    unanswered: int
    verdict: str  # of `verify`
    shares: list[float]  # of the credits, by organization, the largest first

    @property
    def is_exact(self) -> bool:
        """Every answer is in the books, and nothing else."""
        return (
            self.verdict == "OK"
            and self.paid_credits <= self.debited_credits <= self.paid_credits + 2 * self.unanswered
        )


class Player:
    """Plays the day against a stack."""

    def __init__(self, stack: Stack, organizations: Sequence[Organization], chance: random.Random) -> None:
        self._stack = stack
        self._organizations = list(organizations)
        self._weights = list(itertools.accumulate(1 / (rank + 1) ** SKEW for rank in range(len(organizations))))
        self._chance = chance
        self._numbers = itertools.count(1)
        self.spent: Counter[str] = Counter()
        self.hours = [Hour() for _ in range(HOURS)]

    async def play(self, *, seconds: float, calls_per_second: float) -> None:
        """The whole day in so many seconds."""
        started = time.monotonic()
        mean = sum(SHAPE) / HOURS
        under_way: set[asyncio.Task[None]] = set()
        connector = aiohttp.TCPConnector(limit=UNDER_WAY_MAX)
        async with aiohttp.ClientSession(self._stack.url, connector=connector) as session:
            watching = asyncio.create_task(self._watch(started, seconds))
            while (passed := time.monotonic() - started) < seconds:
                hour = min(HOURS - 1, int(passed / seconds * HOURS))
                expected = calls_per_second * SHAPE[hour] / mean * TICK_SECONDS
                for _ in range(_poisson(expected, self._chance)):
                    if len(under_way) >= UNDER_WAY_MAX:
                        self.hours[hour].late += 1
                        continue
                    task = asyncio.create_task(self._call(session, self.hours[hour]))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                await asyncio.sleep(TICK_SECONDS)
            await asyncio.gather(*under_way)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _call(self, session: aiohttp.ClientSession, hour: Hour) -> None:
        (organization,) = self._chance.choices(self._organizations, cum_weights=self._weights)
        number = next(self._numbers)
        path = f"/api/models/{organization.model_id}/chats"
        started = time.perf_counter()
        method, body = ("GET", None) if number % WRITES_OF else ("POST", {"text": f"message {number}"})
        path = path if method == "GET" else f"{path}/1001/messages"
        try:
            async with session.request(method, path, json=body, headers={"X-API-Key": organization.key}) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            hour.statuses[0] += 1
            return
        hour.seconds.append(time.perf_counter() - started)
        hour.statuses[answer.status] += 1
        if answer.status < 300:
            used = said["_meta"]["_credits"]["used"]
            hour.credits += used
            self.spent[organization.org_id] += used

    async def _watch(self, started: float, seconds: float) -> None:
        """How many messages wait, over and over."""
        async with await aio_pika.connect(self._stack.env["FANGATE_AMQP_URL_OPERATOR"]) as connection:
            channel = await connection.channel()
            while True:
                hour = self.hours[min(HOURS - 1, int((time.monotonic() - started) / seconds * HOURS))]
                for name in QUEUES_IN_USE:
                    found = await channel.declare_queue(name, passive=True)
                    waiting = found.declaration_result.message_count or 0
                    hour.queues[name] = max(hour.queues[name], waiting)
                await asyncio.sleep(0.2)


async def played(stack: Stack, *, organizations: int, seconds: float, calls_per_second: float, seed: int) -> Day:
    """Populate, play, settle, count."""
    size = (
        "--credits",
        str(PLAN_CREDITS),
        "--per-minute",
        str(PLAN_PER_MINUTE),
        "--per-day",
        str(50 * PLAN_PER_MINUTE),
    )
    await stack.cli("billing", "plan", "set", "--plan", PLAN, *size)
    tenants = await populate(stack, organizations, plan=PLAN, credits=PLAN_CREDITS)
    player = Player(stack, tenants, random.Random(seed))
    await player.play(seconds=seconds, calls_per_second=calls_per_second)
    paid = sum(player.spent.values())
    debited = await _debited(stack, tenants, at_least=paid)
    verdict = await stack.cli("billing", "verify")
    total = paid or 1
    shares = [credits_ / total for _, credits_ in player.spent.most_common()]
    unanswered = sum(hour.statuses[0] + hour.statuses[504] for hour in player.hours)
    return Day(player.hours, paid, debited, unanswered, str(verdict["result"]), shares)


async def _debited(stack: Stack, tenants: Sequence[Organization], *, at_least: int) -> int:
    """What the ledger holds of their calls, once it is what was answered or time is over."""
    query = (
        "SELECT coalesce(sum(CASE code WHEN 10 THEN amount WHEN 21 THEN -amount ELSE 0 END), 0)::bigint"
        " FROM billing.transfers WHERE org_id = ANY($1)"
    )
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        end = time.monotonic() + QUIET_SECONDS_MAX
        ids = [uuid.UUID(each.org_id) for each in tenants]
        while (found := int(await connection.fetchval(query, ids))) < at_least and time.monotonic() < end:
            await asyncio.sleep(0.2)
        return found
    finally:
        await connection.close()


def _poisson(mean: float, chance: random.Random) -> int:
    """Knuth's; the means here are small."""
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


PANELS: Final = (
    ("calls", "calls"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms"), ("most messages waiting", "queued"), ("credits", "credits"),
)  # fmt: skip
_PANEL_HEIGHT: Final = 110
_COLOUR: Final = (220, 100, 60)


def draw(day: Day, path: Path) -> None:
    """A panel per figure, a bar per hour, with the largest as a number."""
    canvas = Canvas(WIDTH, MARGIN + _PANEL_HEIGHT * len(PANELS))
    width = (WIDTH - 2 * MARGIN) // HOURS
    for number, (title, name) in enumerate(PANELS):
        top = MARGIN + number * _PANEL_HEIGHT
        values = [hour.figures()[name] for hour in day.hours]
        largest = max(values) or 1.0
        canvas.text(MARGIN, top, f"{title}, at most {largest:,.0f}", scale=2)
        for hour, value in enumerate(values):
            height = max(1, int(value / largest * (_PANEL_HEIGHT - 40)))
            canvas.box(MARGIN + hour * width, top + _PANEL_HEIGHT - 18 - height, width - 4, height, _COLOUR)
        canvas.box(MARGIN, top + _PANEL_HEIGHT - 18, WIDTH - 2 * MARGIN, 1, INK)
    path.write_bytes(canvas.png())


def table(day: Day) -> str:
    """The day, hour by hour, and how it ended."""
    lines = ["hour   calls  p50 ms  p99 ms  waiting  credits  late  not 2xx"]
    for number, hour in enumerate(day.hours):
        f = hour.figures()
        lines.append(
            f"{number:4} {f['calls']:7.0f} {f['p50_ms']:7.1f} {f['p99_ms']:7.1f} {f['queued']:8.0f} {f['credits']:8.0f} {f['late']:5.0f} {f['not_2xx']:8.0f}"
        )
    tenth = max(1, len(day.shares) // 10)
    lines.append(
        f"{len(day.shares)} organizations called; the busiest spent {day.shares[0]:.0%} of the credits, a tenth of them {sum(day.shares[:tenth]):.0%}"
        if day.shares
        else "nobody called"
    )
    lines.append(
        f"credits answered {day.paid_credits:,}, in the ledger {day.debited_credits:,}, calls without an answer {day.unanswered}, verify {day.verdict}"
    )
    return "\n".join(lines)


async def _main() -> int:
    organizations = int(os.environ.get("DAY_ORGANIZATIONS", "1000"))
    seconds = float(os.environ.get("DAY_SECONDS", "240"))
    pace = float(os.environ.get("DAY_CALLS_PER_SECOND", str(CALLS_PER_SECOND)))
    seed = int(os.environ.get("DAY_SEED", "1"))
    settings = {"FANGATE_SANDBOX_CALLS_PER_MINUTE": "0"}
    async with a_stack(RUN / f"stack-{os.getpid()}-day", **settings) as stack:
        day = await played(stack, organizations=organizations, seconds=seconds, calls_per_second=pace, seed=seed)
    folder = RUN / "day"
    folder.mkdir(parents=True, exist_ok=True)
    draw(day, folder / "day.png")
    figures = [{**hour.figures(), "queues": dict(hour.queues), "statuses": dict(hour.statuses)} for hour in day.hours]
    summary = {name: value for name, value in asdict(day).items() if name not in {"hours", "shares"}}
    (folder / "day.json").write_text(json.dumps({**summary, "hours": figures}, indent=1), encoding="utf-8")
    sys.stdout.write(f"{table(day)}\nplot: {folder / 'day.png'}\n")
    return 0 if day.is_exact else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
