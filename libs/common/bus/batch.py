"""The worker of a batch queue: groups of messages, one group at a time, one ack for all.

Order is kept: a group is finished before the next begins, and `ack(multiple)` needs it so, since it settles everything
delivered before. A bad message never goes to a waiting room: whoever reads markers in order would run past it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from libs.common.bus import metrics
from libs.common.bus.consumer import Consumer, Rejected, known_type, open_delivery
from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.incoming import Incoming
from libs.common.bus.jobs import Carrier, Sleep
from libs.common.bus.publisher import BusPublisher
from libs.common.bus.told import tell
from libs.common.bus.transport import Delivery
from libs.common.contracts.envelope import Context
from libs.common.errors import Permanent, Transient, Unavailable
from libs.common.telemetry.log import logger

PAUSE_S: Final = (0.05, 5.0)  # first and longest pause before the same batch is tried again
SURPRISES_MAX: Final = (
    5  # this many unexpected errors in a row, and the batch counts as bad: a bug must not stop the queue
)

log = logger(__name__)
Opened = tuple[Delivery, Any, Context]


class BatchWorker:
    """One task that collects and handles what comes in."""

    def __init__(
        self, consumer: Consumer, publisher: BusPublisher, *, service: str, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._consumer = consumer
        self._service = service
        self._sleep = sleep
        self._carrier = Carrier(consumer, publisher, service=service, sleep=sleep)
        self.incoming = Incoming(consumer.queue)
        self._sizes = metrics.BATCH_SIZE.labels(consumer.queue)
        self._seconds = metrics.BATCH_SECONDS.labels(consumer.queue)
        self._busy = False

    @property
    def is_idle(self) -> bool:
        """Nothing in hand."""
        return not self._busy and self.incoming.is_empty

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """The loop to run."""
        return [self._work]

    async def give_back(self) -> None:
        """For a drain, after the subscription stopped: return what no batch took, and let the loop end."""
        self._carrier.closing = True
        await self.incoming.close(1)

    async def _work(self) -> None:
        while (first := await self.incoming.get()) is not None:
            self._busy = True
            try:
                deliveries, is_last = await self._collect(first)
                await self._settle(deliveries)
            except (*BUS_ERRORS, Unavailable) as exc:
                log.warning(
                    "batch not settled, the broker delivers it again", queue=self._consumer.queue, error=repr(exc)
                )
            except Exception:
                metrics.BROKEN.inc()
                log.exception("a batch worker failed", queue=self._consumer.queue)
            finally:
                self._busy = False
            if is_last:
                return

    async def _collect(self, first: Delivery) -> tuple[list[Delivery], bool]:
        deliveries, size_bytes = [first], len(first.body)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        while len(deliveries) < self._consumer.size:
            try:
                delivery = self.incoming.get_nowait()
            except asyncio.QueueEmpty:
                is_lull = size_bytes < self._consumer.lull_bytes
                left_s = began_at + (self._consumer.lull_s if is_lull else self._consumer.wait_s) - loop.time()
                if left_s <= 0:
                    break
                try:
                    async with asyncio.timeout(left_s):
                        delivery = await self.incoming.get()
                except TimeoutError:
                    break
            if delivery is None:
                return deliveries, True
            deliveries.append(delivery)
            size_bytes += len(delivery.body)
        return deliveries, False

    async def _settle(self, deliveries: list[Delivery]) -> None:
        # Stale ones first: they arrive again, and what is not acked must not be handled as if it would be.
        fresh = [delivery for delivery in deliveries if not delivery.receipt.is_stale()]
        if not fresh:
            return
        opened: list[Opened] = []
        for delivery in fresh:
            try:
                entry = known_type(delivery, self._consumer, self._service)
                opened.append((delivery, *open_delivery(delivery, entry)))
            except Rejected as exc:
                await self._dead(delivery, exc.reason, exc)
        if opened:
            started = time.perf_counter()
            await self._handle(opened)
            self._sizes.observe(len(opened))
            self._seconds.observe(time.perf_counter() - started)
        # Only now: all before the last one are either done or dead-lettered with a confirm.
        await fresh[-1].receipt.ack(up_to_here=True)
        for _, _, context in opened:
            metrics.handled(self._consumer.queue, context.type, "done").inc()
            tell(
                self._consumer.queue, context, "done", 0.0
            )  # a slow group is in the figures, not once per message here

    async def _handle(self, opened: list[Opened]) -> None:
        error = await self._try(opened)
        if error is None:
            return
        if len(opened) > 1:  # one of them is bad: find it by handling them one by one, in order
            for one in opened:
                await self._handle([one])
            return
        await self._dead(opened[0][0], "permanent", error)

    async def _try(self, opened: list[Opened]) -> Exception | None:
        """Run the handler until it is done or the batch is bad. Raises Unavailable when it must be left to the broker."""
        handler = next(iter(self._consumer.handlers.values()))
        items = [(message, context) for _, message, context in opened]
        pause_s, surprises = PAUSE_S[0], 0
        while True:
            try:
                await handler(items)
            except Permanent as exc:
                return exc
            except Transient as exc:
                log.warning("batch tried again", queue=self._consumer.queue, size=len(items), error=str(exc))
            except Exception as exc:
                surprises += 1
                metrics.BROKEN.inc()
                log.exception("a batch handler failed", queue=self._consumer.queue, size=len(items))
                if surprises >= SURPRISES_MAX:
                    return exc
            else:
                return None
            if not self._carrier.closing:
                await self._sleep(pause_s)
            if self._carrier.closing or opened[-1][0].receipt.is_stale():
                raise Unavailable(detail="batch left to the broker")
            pause_s = min(2 * pause_s, PAUSE_S[1])

    async def _dead(self, delivery: Delivery, reason: str, error: BaseException) -> None:
        attempt = delivery.headers.get("attempt")
        await self._carrier.dead(delivery, reason, error, attempt if isinstance(attempt, int) else 1)
