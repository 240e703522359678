"""Deliveries that are due, sent."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.common.clock import Clock
from services.auth.domain.webhook import KEPT_DAYS, Outcome, Sending, judged
from services.auth.domain.webhook_ports import Deliveries, Receivers


@dataclass(frozen=True, slots=True)
class DeliverWebhooks:
    """At least once, always under the same id: who dies after sending and before `finish` leaves a claim that ends."""

    deliveries: Deliveries
    receivers: Receivers
    clock: Clock
    jitter: Callable[[], float]  # between -1 and 1

    async def claim(self, limit: int) -> list[Sending]:
        """At most `limit` that are due; whoever gets them sends them."""
        return await self.deliveries.claim(limit)

    async def send(self, sending: Sending) -> Outcome:
        """One attempt and what follows from it."""
        at, started_ms = self.clock.now(), self.clock.stopwatch_ms()
        heard = await self.receivers.send(sending, at)
        duration_ms = self.clock.stopwatch_ms() - started_ms
        verdict = judged(sending, heard, self.clock.now(), jitter=self.jitter())
        await self.deliveries.finish(sending, heard, verdict, at=at, duration_ms=duration_ms)
        return verdict.outcome

    async def forget(self) -> int:
        """Drop a portion of what is older than is kept; how many."""
        return await self.deliveries.forget(self.clock.now() - timedelta(days=KEPT_DAYS))
