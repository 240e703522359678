"""What goes through a channel of RabbitMQ: publishes with exact outcomes, deliveries with their receipts, and the answers
to our calls.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, cast

import aiormq
from aio_pika.abc import AbstractRobustChannel
from aio_pika.exceptions import DeliveryError

from libs.common.bus.errors import BUS_ERRORS, is_lost
from libs.common.bus.publish import publish
from libs.common.bus.transport import Delivery, Parcel, Receipt
from libs.common.deadlines import Deadlines
from libs.common.errors import Refused, Unconfirmed
from libs.common.telemetry.log import logger

RETRY_PAUSE_S: Final = 0.05  # between two tries of a publish on a connection that comes and goes
CHANNEL_ANSWER_S: Final = 10.0  # for declare, consume and cancel

log = logger(__name__)


class ConfirmedChannel:
    """Publishes with confirms on one robust channel, and says exactly what is known about each message afterwards."""

    def __init__(self, channel: AbstractRobustChannel, *, user: str, app: str) -> None:
        self.channel = channel
        self._user = user
        self._app = app
        self._deadlines = Deadlines()
        self._underlay: aiormq.Channel | None = None  # the one that was open at the last publish

    async def send(
        self, parcel: Parcel, *, timeout_s: float, ready_s: float | None = None, repeat: bool, reply_to: str = ""
    ) -> None:
        """Publish; with `repeat` again (same id) after a lost connection, as long as `timeout_s` lasts.

        Raises `Refused` when certainly no attempt was taken, else `Unconfirmed`.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_s
        may_be_there = False
        while True:
            left_s = give_up_at - loop.time()
            try:
                underlay = self._opened() or await self._open_channel(min(left_s, ready_s or left_s))
            except TimeoutError as exc:
                raise _verdict(may_be_there, "not connected") from exc
            if underlay.is_closed:  # seen before anything was written: certainly not sent
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            try:
                await self._publish(underlay, parcel, give_up_at - loop.time(), reply_to)
            except DeliveryError as exc:  # no queue, or a full one
                raise _verdict(may_be_there, str(exc)) from exc
            except (aiormq.exceptions.ChannelAccessRefused, aiormq.exceptions.ChannelNotFoundEntity) as exc:
                log.error("publish refused by the broker", type=parcel.type, key=parcel.routing_key, error=str(exc))
                raise _verdict(may_be_there, str(exc)) from exc
            except TimeoutError as exc:
                raise Unconfirmed(detail=f"{parcel.type}: no confirm in time") from exc
            except BUS_ERRORS as exc:
                may_be_there = True
                if not repeat:
                    raise Unconfirmed(detail=f"{parcel.type}: {exc!r}") from exc
                await asyncio.sleep(RETRY_PAUSE_S)
            else:
                return

    def _opened(self) -> aiormq.Channel | None:
        """The channel of the last publish, if it is still there: that is nearly always so, and asking is dear."""
        underlay = self._underlay
        return None if underlay is None or underlay.is_closed else underlay

    async def _open_channel(self, timeout_s: float) -> aiormq.Channel:
        if timeout_s <= 0:
            raise TimeoutError
        async with asyncio.timeout(timeout_s):
            await self.channel.ready()
            self._underlay = await underlay_of(self.channel)
            return self._underlay

    async def _publish(self, underlay: aiormq.Channel, parcel: Parcel, timeout_s: float, reply_to: str) -> None:
        try:
            with self._deadlines.within(timeout_s):
                # The confirm is what counts; waiting for the socket as well would serialise publishers.
                confirmation = publish(underlay, parcel, user=self._user, app=self._app, reply_to=reply_to)
                assert confirmation is not None, "a channel with confirms"
                await confirmation
        except asyncio.CancelledError as exc:
            # A closing channel "cancels" waiting confirms; only a cancellation of this very task is one.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConnectionError("the channel closed before the confirm") from exc
        except Exception as exc:
            if isinstance(exc, BUS_ERRORS) or not is_lost(exc):
                raise
            raise ConnectionError("the connection was lost before the confirm") from exc


async def underlay_of(channel: AbstractRobustChannel) -> aiormq.Channel:
    """The channel below aio-pika's: half the cost of a publish."""
    return cast(aiormq.Channel, await channel.get_underlay_channel())


def _verdict(may_be_there: bool, detail: str) -> Refused | Unconfirmed:  # noqa: FBT001 - read aloud at the call
    return Unconfirmed(detail=detail) if may_be_there else Refused(detail=detail)


class AmqpReceipt:
    """Settles one delivery on the channel it came by."""

    __slots__ = ("_message",)

    def __init__(self, message: aiormq.abc.DeliveredMessage) -> None:
        self._message = message

    def is_stale(self) -> bool:
        return self._message.channel.is_closed

    async def ack(self, *, up_to_here: bool = False) -> None:
        await self._message.channel.basic_ack(_tag(self._message), multiple=up_to_here, wait=False)

    async def give_back(self) -> None:
        await self._message.channel.basic_nack(_tag(self._message), requeue=True, wait=False)


def _tag(message: aiormq.abc.DeliveredMessage) -> int:
    assert message.delivery_tag is not None, "only deliveries are settled"
    return message.delivery_tag


class _NoReceipt:
    """Of answers: they are taken without acknowledgement."""

    def is_stale(self) -> bool:
        return False

    async def ack(self, *, up_to_here: bool = False) -> None:
        """Nothing to say."""

    async def give_back(self) -> None:
        """Nothing to give back."""


NO_RECEIPT: Final = _NoReceipt()


def delivery_of(message: aiormq.abc.DeliveredMessage, queue: str, receipt: Receipt = NO_RECEIPT) -> Delivery:
    """A message of the layer below aio-pika in our shape; without `receipt` it was taken without acknowledgement."""
    sent = message.header.properties
    return Delivery(
        queue=queue,
        type=sent.message_type or "",
        message_id=sent.message_id or "",
        user=sent.user_id or "",
        headers=dict(sent.headers or {}),
        body=message.body,
        receipt=receipt,
        content_type=sent.content_type or "",
        correlation_id=sent.correlation_id or "",
        reply_to=sent.reply_to or "",
        redelivered=bool(message.redelivered),
    )


DIRECT_REPLY: Final = "amq.rabbitmq.reply-to"


class AnswerChannel:
    """The channel of our calls: requests go out and answers come in on the same one, as direct reply-to demands.

    With `reply="queue"` answers come by an exclusive queue with a nonce instead; a fixed name would be locked for 30 s
    after a half-open connection.
    """

    def __init__(
        self,
        channel: AbstractRobustChannel,
        *,
        reply: str,
        service: str,
        deliver: Callable[[Delivery], None],
        lost: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._reply = reply
        self._service = service
        self._deliver = deliver
        self._lost = lost
        self.address = ""
        self.open = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen, now and after every reconnect."""
        self._channel.close_callbacks.add(self._on_close)
        self._channel.reopen_callbacks.add(self._on_reopen)
        await self._listen()

    async def _listen(self) -> None:
        underlay = await self._channel.get_underlay_channel()
        address = DIRECT_REPLY
        if self._reply == "queue":
            address = f"{self._service}.reply.{os.urandom(8).hex()}"
            await underlay.queue_declare(address, exclusive=True, auto_delete=True, timeout=CHANNEL_ANSWER_S)
        await underlay.basic_consume(address, self._on_message, no_ack=True, timeout=CHANNEL_ANSWER_S)
        self.address = address
        self.open.set()

    async def _on_reopen(self, *_: object) -> None:
        try:
            await self._listen()
        except BUS_ERRORS as exc:  # lost again; the next reopen comes
            log.warning("no answers can be taken yet", error=repr(exc))

    def _on_close(self, *_: object) -> None:
        self.open.clear()
        self._lost()

    async def _on_message(self, message: aiormq.abc.DeliveredMessage) -> None:
        self._deliver(delivery_of(message, ""))
