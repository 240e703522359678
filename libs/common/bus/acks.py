"""Acknowledgements of framed messages, gathered: a quorum queue writes each to disk, and the next debit waits behind it.

For `GATHER_S` at most, then what is done is acknowledged at once. Whoever dies meanwhile has done messages delivered again;
as ever, their deadlines and the handlers' fences take care of it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.transport import Delivery

GATHER_S: Final = 0.025
GATHERED_MAX: Final = 16  # messages done; what is not acknowledged takes room of the prefetch (64 and more)


class Acks:
    """Of one subscription. `took` every message in the order of delivery, then end it with `done` or `settle`."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """`spawn` runs what acknowledges."""
        self._spawn = spawn
        self._in_hand: dict[int, Delivery] = {}  # by its number, in the order of delivery
        self._done: set[int] = set()
        self._took = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_flushing = False

    def took(self, delivery: Delivery) -> int:
        """Its number, to end it by."""
        self._took += 1
        self._in_hand[self._took] = delivery
        return self._took

    async def settle(self, number: int) -> None:
        """Acknowledge now: of what cannot be done twice nothing more than needs be is delivered again."""
        delivery = self._in_hand.pop(number, None)  # None: it was stale
        if delivery is not None:
            await _ack(delivery)

    def done(self, number: int) -> None:
        """Acknowledge with the next ones."""
        if number not in self._in_hand:  # it was stale
            return
        self._done.add(number)
        if len(self._done) >= GATHERED_MAX:
            self._begin()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._begin)

    async def flush(self) -> None:
        """Acknowledge all that is done: the oldest with one word, as far as nothing unfinished lies between."""
        if self._is_flushing:  # a later word must not overtake an earlier one: the broker closes the channel
            return
        self._is_flushing = True
        try:
            while self._done:
                await self._flush_once()
        finally:
            self._is_flushing = False

    async def _flush_once(self) -> None:
        last: Delivery | None = None
        for number, delivery in list(self._in_hand.items()):
            if delivery.receipt.is_stale():  # delivered again; it came before all that is not
                del self._in_hand[number]
                self._done.discard(number)
            elif number in self._done:
                del self._in_hand[number]
                self._done.remove(number)
                last = delivery
            else:
                break
        if last is not None:
            await _ack(last, up_to_here=True)
        single, self._done = sorted(self._done), set()
        for number in single:
            await _ack(self._in_hand.pop(number))

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._spawn(self.flush())


async def _ack(delivery: Delivery, *, up_to_here: bool = False) -> None:
    try:
        await delivery.receipt.ack(up_to_here=up_to_here)
    except BUS_ERRORS:
        return  # redelivered after a reconnect: the deadline or the handler's fence takes care of it
