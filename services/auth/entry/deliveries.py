"""The loop that sends webhooks: as many at once as a process bears, woken by new events and once a second."""

import asyncio
import contextlib
from typing import Final

from libs.common.errors import FangateError, Transient
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter, Gauge
from services.auth.domain.webhook import Sending
from services.auth.usecases.deliver_webhooks import DeliverWebhooks

IN_FLIGHT_MAX: Final = 48  # in one process; an attempt takes 10 s at most
POLL_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 2.0  # after the database did not answer

DELIVERIES = Counter("fangate_webhook_deliveries_total", "Attempts to deliver webhooks, by what followed", ["outcome"])
OVERDUE = Gauge(
    "fangate_webhook_oldest_seconds", "How long the webhook that waits longest should have been sent already"
)
_log = logger(__name__)


class DeliveryLoop:
    """Run `run` in the background; `drain` ends it once what was begun is finished."""

    def __init__(self, deliver: DeliverWebhooks, wake: asyncio.Event) -> None:
        self._deliver = deliver
        self._wake = wake
        self._under_way: set[asyncio.Task[None]] = set()
        self._ends = False

    async def run(self) -> None:
        """Until it is drained."""
        while not self._ends:
            self._wake.clear()
            pause_s = POLL_SECONDS
            try:
                await self.once()
            except (FangateError, Transient) as exc:
                _log.warning("webhooks wait", error=str(exc))
                pause_s = AWAY_SECONDS
            except Exception as exc:
                _log.error("webhooks wait", exc_info=exc)
                pause_s = AWAY_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)

    async def once(self) -> int:
        """Begin what is due, as far as there is room; how many."""
        room = IN_FLIGHT_MAX - len(self._under_way)
        begun = await self._deliver.claim(room) if room else []
        for sending in begun:
            task = asyncio.create_task(self._send(sending), name=f"webhook {sending.delivery_id}")
            self._under_way.add(task)
            task.add_done_callback(self._done)
        return len(begun)

    async def drain(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._ends = True
        self._wake.set()
        await self.settle()

    async def settle(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _send(self, sending: Sending) -> None:
        try:
            outcome = await self._deliver.send(sending)
            DELIVERIES.labels(str(outcome)).inc()
        except Exception as exc:
            # Its claim ends, and it is sent again under the same id.
            DELIVERIES.labels("unknown").inc()
            _log.error("webhook attempt not noted", delivery_id=str(sending.delivery_id), error=type(exc).__name__)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()  # the next in its line is due


async def look_at_overdue(deliver: DeliverWebhooks) -> None:
    """Set the gauge."""
    OVERDUE.set(await deliver.deliveries.overdue_s())
