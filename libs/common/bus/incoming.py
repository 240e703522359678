"""What was delivered and not yet begun, between the broker's callback and our workers."""

import asyncio
import contextlib

from libs.common.bus import metrics
from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.transport import Delivery


class Incoming:
    """A local queue, bounded by the consumer's prefetch. After `close` everything goes straight back to the broker."""

    def __init__(self, queue: str) -> None:
        self._waiting: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._redelivered = metrics.REDELIVERED.labels(queue)
        self._returning: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.count = 0  # of all that ever came

    @property
    def is_empty(self) -> bool:
        return self._waiting.empty()

    def put(self, delivery: Delivery) -> None:
        """Take a delivery; never blocks."""
        self.count += 1
        if delivery.redelivered:
            self._redelivered.inc()
        if not self._is_closed:
            self._waiting.put_nowait(delivery)
            return
        # It was on its way while we cancelled the subscription.
        task = asyncio.create_task(_give_back(delivery))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def get(self) -> Delivery | None:
        """The next delivery, or None when the worker that asked is to end."""
        return await self._waiting.get()

    def get_nowait(self) -> Delivery | None:
        """Like `get`. Raises asyncio.QueueEmpty."""
        return self._waiting.get_nowait()

    async def close(self, workers: int) -> None:
        """Give everything back that nobody began, and tell each of the `workers` to end."""
        self._is_closed = True
        while not self._waiting.empty():
            delivery = self._waiting.get_nowait()
            if delivery is not None:
                await _give_back(delivery)
        for _ in range(workers):
            self._waiting.put_nowait(None)


async def _give_back(delivery: Delivery) -> None:
    if not delivery.receipt.is_stale():
        with contextlib.suppress(*BUS_ERRORS):  # stale by now: the broker has it already
            await delivery.receipt.give_back()
