"""A consumer of one queue that lasts: whenever its channel is lost, or the queue is deleted, it consumes anew.

Always on a fresh channel and under a fresh tag. Nothing of it is left to aio-pika's recovery, which uses both again, and
which makes a whole connection fail for one queue that is missing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Self

import aiormq
from aio_pika.abc import AbstractRobustConnection

from libs.common.bus.channels import CHANNEL_ANSWER_S, AmqpReceipt, delivery_of
from libs.common.bus.errors import BUS_ERRORS, QueueMissing, is_lost, only_own_cancellation
from libs.common.bus.transport import Delivery
from libs.common.telemetry.log import logger

AGAIN_S: Final = (
    0.1  # between two tries to consume: a connection comes back in about a second, a queue when somebody makes it
)
CANCELS_SINCE: Final = 4  # RabbitMQ's major version
LIMIT_OF_NOBODY: Final = 65_535  # unacknowledged messages, over all consumers of a channel: prefetch is far below

log = logger(__name__)


class AmqpSubscription:
    """The messages of `queue`, handed to `deliver`, until `stop`. Make one with `start`."""

    def __init__(
        self, connection: AbstractRobustConnection, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._prefetch = prefetch
        self._deliver = deliver
        self._channel: aiormq.abc.AbstractChannel
        self._tag = ""
        self._lost = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, connection: AbstractRobustConnection, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]
    ) -> Self:
        """Begin to consume. Raises `QueueMissing`, or one of BUS_ERRORS when there is no connection."""
        subscription = cls(connection, queue, prefetch=prefetch, deliver=deliver)
        await subscription._consume()
        subscription._keeping = asyncio.create_task(subscription._keep(), name=f"consume {queue}")
        return subscription

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        with contextlib.suppress(*BUS_ERRORS):  # no connection, no deliveries
            # The channel stays: what is in hand is settled on it.
            await self._channel.basic_cancel(self._tag, timeout=CHANNEL_ANSWER_S)

    async def waiting(self) -> int:
        with only_own_cancellation("the connection was closed while it was asked"):
            async with asyncio.timeout(CHANNEL_ANSWER_S):
                # Not on the consumer's own channel: a missing queue closes the channel that asks.
                probe = await self._open()
                try:
                    counted = await probe.queue_declare(self._queue, passive=True)
                finally:
                    await probe.close()
        return counted.message_count or 0

    async def _keep(self) -> None:
        """Consume anew after every loss, for ever."""
        while True:
            await self._lost.wait()
            with contextlib.suppress(Exception):  # the queue may be gone and its channel not
                await self._channel.close()
            while True:
                if await self._is_back():
                    break
                await asyncio.sleep(AGAIN_S)
            log.info("consuming again", queue=self._queue)

    async def _is_back(self) -> bool:
        await self._connection.ready()
        try:
            with only_own_cancellation("the channel was closed before it consumed"):
                async with asyncio.timeout(CHANNEL_ANSWER_S):
                    await self._consume()
        except QueueMissing:
            return False
        except Exception as exc:
            if not is_lost(exc):
                raise
            return False
        return True

    async def _consume(self) -> None:
        channel = await self._open()
        try:
            await channel.basic_qos(prefetch_count=self._prefetch, timeout=CHANNEL_ANSWER_S)
            lost = asyncio.Event()
            channel.closing.add_done_callback(lambda _: lost.set())
            channel.on_consumer_cancel_callbacks.add(lambda _: lost.set())
            consumed = await channel.basic_consume(self._queue, self._on_message, timeout=CHANNEL_ANSWER_S)
            if _major_version(channel.connection) < CANCELS_SINCE:
                await _have_the_broker_say_when_the_queue_is_deleted(channel)
        except aiormq.exceptions.ChannelNotFoundEntity as exc:
            raise QueueMissing(self._queue) from exc
        assert consumed.consumer_tag is not None, "the broker names every consumer"
        self._channel, self._tag, self._lost = channel, consumed.consumer_tag, lost

    async def _open(self) -> aiormq.abc.AbstractChannel:
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection is closed")
        try:
            return await transport.connection.channel(publisher_confirms=False)
        except RuntimeError as exc:  # how aiormq says that the connection is closed
            raise ConnectionError("the connection is closed") from exc

    async def _on_message(self, message: aiormq.abc.DeliveredMessage) -> None:
        self._deliver(delivery_of(message, self._queue, AmqpReceipt(message)))


async def _have_the_broker_say_when_the_queue_is_deleted(channel: aiormq.abc.AbstractChannel) -> None:
    """After `basic.consume`, so that the broker cannot repeat it by itself.

    RabbitMQ before 4.0 consumes again inside the channel when a queue ends and one of that name is there, as for a failover
    of a mirrored queue, and forgets the new queue's state right afterwards: a consumer that is registered, is delivered to,
    and whose deliveries the channel drops (`handle_cast({queue_event…` of rabbit_channel.erl, `eol`). Nobody is told. Quorum
    queues refuse consumers of a channel with a limit over all its consumers, so with one set the broker's own try fails
    and we get the `basic.cancel` that is due.
    """
    await channel.basic_qos(prefetch_count=LIMIT_OF_NOBODY, global_=True, timeout=CHANNEL_ANSWER_S)


def _major_version(connection: aiormq.abc.AbstractConnection) -> int:
    version = connection.server_properties["version"]
    text = version.decode() if isinstance(version, bytes) else str(version)
    return int(text.partition(".")[0])
