"""What every edge hears: events on an exclusive queue of its own, best effort.

Runs on a plain connection with its own loop, never a robust one: restoring a fixed-name exclusive queue blocks for 30 s
after a half-open connection, and a fresh name with a flush of local caches says the same. What was missed while away is
covered by that flush.
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import aiormq

from libs.common.bus import metrics
from libs.common.bus.channels import CHANNEL_ANSWER_S, delivery_of
from libs.common.bus.connection import connection_url
from libs.common.bus.consumer import Consumer, Mode, Rejected, known_type, label_of, open_delivery
from libs.common.bus.errors import is_lost
from libs.common.bus.transport import Delivery
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.registry import MessageType
from libs.common.contracts.wire import EVENTS
from libs.common.telemetry.log import logger

BACK_OFF_S: Final = (0.2, 5.0)  # first and longest pause between two connections
QUEUE_LENGTH_MAX: Final = (
    10_000  # an edge that does not keep up loses the oldest: all it does with them is forget things
)

log = logger(__name__)


class Broadcast:
    """Hears the events that match `bindings`. `on_connected` (flush the caches) runs after every binding, before the first
    message; `on_message` runs for one message at a time.
    """

    def __init__(
        self, url: str, *, service: str, bindings: Sequence[str], on_message: Callable[[Message, Context], Awaitable[None]],
        on_connected: Callable[[], Awaitable[None]],
        back_off_s: tuple[float, float] = BACK_OFF_S,
    ) -> None:  # fmt: skip
        self._url = connection_url(url, service=service, role="fan")
        self._service = service
        self._bindings = tuple(bindings)
        self._on_message = on_message
        self._on_connected = on_connected
        self._back_off_s = back_off_s
        self._away_since: float | None = time.monotonic()

    @property
    def away_for_s(self) -> float:
        """Seconds since we last heard; 0 while connected. Beyond a few, caches are not to be trusted."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since

    async def run(self) -> None:
        """Connect, listen, connect again; for ever."""
        pause_s = self._back_off_s[0]
        while True:
            try:
                await self._once()
                pause_s = self._back_off_s[0]
            except asyncio.CancelledError:
                # A closing connection "cancels" whoever waits for it; only a cancellation of this very task is one.
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
            except Exception as exc:
                # This listener is best effort: whatever it meets, it may not end the process that it serves.
                if is_lost(exc) or isinstance(exc, OSError):
                    log.warning("broadcasts: connection lost", error=repr(exc))
                else:
                    log.exception("broadcasts: listening failed")
            finally:
                if self._away_since is None:
                    self._away_since = time.monotonic()
            metrics.RECONNECTS.labels("fan").inc()
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause_s = min(2 * pause_s, self._back_off_s[1])

    async def _once(self) -> None:
        """One connection, until it is lost."""
        async with asyncio.timeout(CHANNEL_ANSWER_S):
            connection = await aiormq.connect(self._url)
        try:
            await self._listen(connection)
        finally:
            with contextlib.suppress(Exception):  # it is gone either way
                await connection.close()

    async def _listen(self, connection: aiormq.abc.AbstractConnection) -> None:
        channel = await connection.channel(publisher_confirms=False)
        name = f"{self._service}.{socket.gethostname()}.{os.urandom(6).hex()}"
        await channel.queue_declare(
            name,
            exclusive=True,
            auto_delete=True,
            arguments={"x-max-length": QUEUE_LENGTH_MAX, "x-overflow": "drop-head"},
            timeout=CHANNEL_ANSWER_S,
        )
        for pattern in self._bindings:
            await channel.queue_bind(name, EVENTS, routing_key=pattern, timeout=CHANNEL_ANSWER_S)
        # After the bindings: whatever changes from here on is heard. Before the first message: it must not be flushed.
        await self._on_connected()
        heard: asyncio.Queue[Delivery | None] = asyncio.Queue(maxsize=QUEUE_LENGTH_MAX)

        async def hand_over(message: aiormq.abc.DeliveredMessage) -> None:
            await heard.put(delivery_of(message, name))

        def end(*_: object) -> None:
            with contextlib.suppress(asyncio.QueueFull):
                heard.put_nowait(None)

        channel.closing.add_done_callback(end)
        channel.on_consumer_cancel_callbacks.add(end)
        await channel.basic_consume(name, hand_over, no_ack=True, timeout=CHANNEL_ANSWER_S)
        self._away_since = None
        log.info("broadcasts: listening", queue=name)
        while not channel.is_closed and (delivery := await heard.get()) is not None:
            await self._handle(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        try:
            entry = self._entry(delivery)
            message, context = open_delivery(delivery, entry)
            await self._on_message(message, context)
            outcome = "done"
        except Rejected as exc:
            # Nothing to dead-letter: this queue is best effort. An unknown type is one that this version does not need.
            log.info("broadcast ignored", type=delivery.type, reason=exc.reason)
            outcome = exc.reason
        except Exception:
            metrics.BROKEN.inc()
            log.exception("a broadcast handler failed", type=delivery.type)
            outcome = "broken"
        metrics.handled("broadcast", label_of(delivery), outcome).inc()

    def _entry(self, delivery: Delivery) -> MessageType:
        """All registered types pass, the sender check stands."""
        listener = Consumer(Mode.JOBS, delivery.queue, prefetch=1)
        listener.handlers[delivery.type] = self._on_message
        return known_type(delivery, listener, self._service)
