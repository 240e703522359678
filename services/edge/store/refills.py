"""Filling an organization's lease: one caller of all edges asks billing, the others wait for it (docs/architecture.md).

The refill lock in Redis names the winner by a token; it falls by itself after a second, so a winner that dies is
replaced. A negative answer is remembered for a moment, and only while our token still holds the lock: what was read
before a top-up cannot be written after it.
"""

import asyncio
import random
from typing import Final
from uuid import UUID

from libs.common.redis import keys
from libs.common.redis.client import Redis, RedisAway, StoreRefused
from libs.common.redis.scripts import load_script
from libs.common.telemetry.metrics import Counter
from services.edge.domain.ports import CreditsInUse, Leases
from services.edge.domain.refusal import Refusal

LOCK_MS: Final = 1_000  # above billing's deadline of 800 ms
EXHAUSTED_MS: Final = 1_000  # how long a 402 may be repeated from memory
IN_USE_MS: Final = 50
LOOK_AGAIN_MS: Final = 10
_REFILLED: Final = load_script(__package__, "refilled.lua")

REFILLS = Counter("fangate_edge_refills_total", "Questions to billing for credits", ["outcome"])
_OUTCOMES = {outcome: REFILLS.labels(outcome) for outcome in ("granted", "exhausted", "in_use", "failed")}


class Refills:
    """The questions to billing in flight, at most one per organization in this process."""

    def __init__(self, redis: Redis, leases: Leases, *, prefix: str = "") -> None:
        self._redis = redis
        self._leases = leases
        self._prefix = prefix
        self._flights: dict[UUID, asyncio.Task[None]] = {}

    def begin(self, org_id: UUID, *, cost: int, token: str, ref: str) -> "asyncio.Task[None]":
        """Ask billing; only for who won the refill lock with `token`. The task ends when the lease is filled and the lock
        given back. It raises Refusal (402, 503) or CreditsInUse.
        """
        task = asyncio.create_task(self._ask(org_id, cost, token, ref), name="refill a lease")
        self._flights[org_id] = task
        task.add_done_callback(lambda done: self._landed(org_id, done))
        return task

    async def wait(self, org_id: UUID, *, wait_ms: int) -> None:
        """Wait for the winner: its task if it is in this process, else a moment. Raises Refusal (503) if it failed."""
        flight = self._flights.get(org_id)
        if flight is None:
            await asyncio.sleep((LOOK_AGAIN_MS + random.uniform(-3.0, 3.0)) / 1_000)  # noqa: S311 - jitter, no secret
            return
        try:
            async with asyncio.timeout(wait_ms / 1_000):
                await asyncio.shield(flight)
        except (TimeoutError, CreditsInUse):
            return  # the next look at the script tells what holds for this call's own cost
        except Refusal as refusal:
            if refusal.status == 503:
                raise Refusal("UNAVAILABLE", detail=refusal.detail) from None  # one each: errors carry what is shown

    def _landed(self, org_id: UUID, task: "asyncio.Task[None]") -> None:
        if self._flights.get(org_id) is task:
            del self._flights[org_id]
        if not task.cancelled():
            task.exception()  # behind an admitted call nobody waits for it; the next caller without credits asks anew

    async def _ask(self, org_id: UUID, cost: int, token: str, ref: str) -> None:
        try:
            await self._leases.open_lease(org_id, holder="redis", ref=ref, cost=cost)
        except CreditsInUse:
            _OUTCOMES["in_use"].inc()
            await self._tell(org_id, token, f"B{cost}", IN_USE_MS)
            raise
        except Refusal as refusal:
            if refusal.code == "INSUFFICIENT_CREDITS":
                _OUTCOMES["exhausted"].inc()
                await self._tell(org_id, token, f"E{refusal.fields['balance']}", EXHAUSTED_MS)
            else:
                # The lock is kept to its end: it spares billing the question for the rest of the second.
                _OUTCOMES["failed"].inc()
                if refusal.fields.get("store_mismatch"):
                    await self._redis.reset()  # billing sees another server than we do: look again whom we talk to
            raise
        _OUTCOMES["granted"].inc()
        await self._tell(org_id, token, "", 0)

    async def _tell(self, org_id: UUID, token: str, verdict: str, life_ms: int) -> None:
        try:
            await self._redis.run(
                _REFILLED,
                lambda _: (
                    keys.lease_negative(org_id, prefix=self._prefix),
                    keys.lease_refill_lock(org_id, prefix=self._prefix),
                ),
                lambda _: (token, verdict, life_ms),
            )
        except (RedisAway, StoreRefused):
            return  # the lock falls by itself; the verdict was only an economy
