"""Timers: something done again and again, and the claim that lets any number of processes share due rows.

Schedules live in Postgres (`due_at`), so they can be seen, cancelled and survive a restart; a timer only looks.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.pool import Record, Tx
from libs.common.errors import FangateError, Transient
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter

JITTER: Final = 0.1  # ±10 %, so that processes started together do not act together
CLAIM_SECONDS: Final = 300  # a claimed row is left alone this long, also if its holder died

TIMER_RUNS = Counter("fangate_timer_runs_total", "Runs of periodic work", ["timer", "outcome"])

_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]*")
_log = logger(__name__)


class Timer:
    """Awaits `work` every `interval_s` seconds (±10 %), counted from its end; a failure is logged and the next run comes."""

    def __init__(self, name: str, interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._interval_s = interval_s
        self._work = work

    async def run(self) -> None:
        """For ever; the first run is at once."""
        while True:
            await self.once()
            await asyncio.sleep(self._interval_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load

    async def once(self) -> None:
        """One run, with its errors noted and swallowed: a sweep that failed is made up for by the next."""
        outcome = "ok"
        try:
            await self._work()
        except (Transient, FangateError) as exc:
            outcome = "waits"
            _log.warning("timer will try again", timer=self.name, error=str(exc))
        except Exception as exc:
            outcome = "failed"
            _log.error("timer failed", timer=self.name, exc_info=exc)
        TIMER_RUNS.labels(self.name, outcome).inc()


async def claim_due(
    tx: Tx, table: str, *, limit: int = 50, claim_s: int = CLAIM_SECONDS, where: str = "true"
) -> list[Record]:
    """Claim up to `limit` rows of `table` (columns id, due_at, claimed_until) that are due and that nobody holds, oldest
    first; write the job's outbox row in the same transaction. Whoever finishes a row sets its next `due_at` and clears
    `claimed_until`; a row whose holder died is due again after `claim_s`. `where` is SQL of the caller's code.
    """
    if not _IDENTIFIER.fullmatch(table):
        raise ValueError(f"not a table name: {table!r}")
    return await tx.fetch(
        f"""UPDATE {table} SET claimed_until = now() + make_interval(secs => $2)
            WHERE id IN (SELECT id FROM {table}
                         WHERE due_at <= now() AND (claimed_until IS NULL OR claimed_until < now()) AND ({where})
                         ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING *""",  # noqa: S608 - names from code, checked
        limit,
        claim_s,
    )
