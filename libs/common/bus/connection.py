"""RabbitMQ behind the `Transport` port: two robust connections per process, and the rules that aio-pika's traps ask for.

Publishing and consuming never share a connection: a memory alarm blocks the publishing one only. Callbacks of aio-pika
do nothing but hand over, since a lost channel cancels them in the middle. Objects are kept referenced: channels that are
not get garbage-collected.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, Self, cast
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import AuthenticationError, DeliveryError, ProbableAuthenticationError

from libs.common.bus import metrics
from libs.common.bus.errors import BUS_ERRORS, BusError, QueueMissing
from libs.common.bus.transport import Delivery, Parcel
from libs.common.errors import Refused, Unconfirmed
from libs.common.telemetry.log import logger

HEARTBEAT_S: Final = 10  # a dead peer is found after 3 x (10 + 1) s; the default of 60 means three minutes
RECONNECT_INTERVAL_S: Final = 1
CONNECT_PATIENCE_S: Final = 30  # how long a start waits for a broker that is starting too
CONNECTION_TIMEOUT_S: Final = 5.0
BLOCKED_LOOK_S: Final = 0.05
CALL_READY_PATIENCE_S: Final = 2.0  # a reconnect takes less; a caller is better told 503 than kept waiting
RETRY_PAUSE_S: Final = 0.05  # between two tries of a publish on a connection that comes and goes
CONSUMER_ANSWER_S: Final = 10.0  # for declare, consume and cancel

log = logger(__name__)


def connection_url(url: str, *, service: str, role: str) -> str:
    """`url` with our options: heartbeat, reconnect interval and a name that operators recognise."""
    name = quote(f"{service}-{role}-{socket.gethostname()}")
    mark = "&" if urlsplit(url).query else "?"
    return f"{url}{mark}heartbeat={HEARTBEAT_S}&reconnect_interval={RECONNECT_INTERVAL_S}&name={name}"


def user_of(url: str) -> str:
    """The login inside an AMQP URL."""
    return unquote(urlsplit(url).username or "guest")


async def connect(url: str, *, service: str, role: str) -> AbstractRobustConnection:
    """Open a robust connection; waits up to 30 s for the broker. Raises BusError for a refused login or at the end."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + CONNECT_PATIENCE_S
    while True:
        try:
            connection = await aio_pika.connect_robust(
                connection_url(url, service=service, role=role), timeout=CONNECTION_TIMEOUT_S
            )
        except (AuthenticationError, ProbableAuthenticationError) as exc:
            raise BusError(f"the broker refuses the login of {service}: check user, password and vhost") from exc
        except (*BUS_ERRORS, OSError) as exc:
            if loop.time() > give_up_at:
                raise BusError("no broker answers") from exc
            await asyncio.sleep(RECONNECT_INTERVAL_S)
        else:
            connection.reconnect_callbacks.add(partial(_note_reconnect, role))
            return connection


def _note_reconnect(role: str, *_: object) -> None:
    metrics.RECONNECTS.labels(role).inc()


def properties(parcel: Parcel, user: str, app: str, reply_to: str = "") -> aiormq.spec.Basic.Properties:
    """A parcel's AMQP properties. `user` is checked by the broker: a wrong one closes the channel."""
    return aiormq.spec.Basic.Properties(
        content_type=parcel.content_type,
        headers=parcel.headers,
        delivery_mode=2 if parcel.persistent else 1,
        correlation_id=parcel.correlation_id or None,
        reply_to=reply_to or None,
        expiration=None if parcel.expiration_ms is None else str(max(0, parcel.expiration_ms)),
        message_id=parcel.message_id,
        message_type=parcel.type,
        user_id=user,
        app_id=app,
    )


class ConfirmedChannel:
    """Publishes with confirms on one robust channel, and says exactly what is known about each message afterwards."""

    def __init__(self, channel: AbstractRobustChannel, *, user: str, app: str) -> None:
        self.channel = channel
        self._user = user
        self._app = app

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
                underlay = await self._open_channel(min(left_s, ready_s or left_s))
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

    async def _open_channel(self, timeout_s: float) -> aiormq.Channel:
        if timeout_s <= 0:
            raise TimeoutError
        async with asyncio.timeout(timeout_s):
            await self.channel.ready()
            return await underlay_of(self.channel)

    async def _publish(self, underlay: aiormq.Channel, parcel: Parcel, timeout_s: float, reply_to: str) -> None:
        try:
            await underlay.basic_publish(
                parcel.body,
                exchange=parcel.exchange,
                routing_key=parcel.routing_key,
                properties=properties(parcel, self._user, self._app, reply_to),
                mandatory=parcel.mandatory,
                timeout=timeout_s,
                wait=False,  # the confirm is what counts; waiting for the socket as well would serialise publishers
            )
        except asyncio.CancelledError as exc:
            # A closing channel "cancels" waiting confirms; only a cancellation of this very task is one.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConnectionError("the channel closed before the confirm") from exc


async def underlay_of(channel: AbstractRobustChannel) -> aiormq.Channel:
    """The channel below aio-pika's: half the cost of a publish."""
    return cast(aiormq.Channel, await channel.get_underlay_channel())


def _verdict(may_be_there: bool, detail: str) -> Refused | Unconfirmed:  # noqa: FBT001 - read aloud at the call
    return Unconfirmed(detail=detail) if may_be_there else Refused(detail=detail)


class AmqpReceipt:
    """Settles one delivery on the channel it came by."""

    __slots__ = ("_message",)

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self._message = message

    def is_stale(self) -> bool:
        try:
            return self._message.channel.is_closed
        except BUS_ERRORS:
            return True

    async def ack(self, *, up_to_here: bool = False) -> None:
        await self._message.channel.basic_ack(_tag(self._message), multiple=up_to_here, wait=False)

    async def give_back(self) -> None:
        await self._message.channel.basic_nack(_tag(self._message), requeue=True, wait=False)


def _tag(message: AbstractIncomingMessage) -> int:
    assert message.delivery_tag is not None, "only deliveries are settled"
    return message.delivery_tag


class AmqpSubscription:
    """A consumer on a channel of its own, restored by aio-pika after an outage."""

    def __init__(
        self,
        channel: AbstractRobustChannel,
        queue: aio_pika.abc.AbstractRobustQueue,
        tag: str,
        sub: AbstractRobustConnection,
    ) -> None:
        self._channel = channel
        self._queue = queue
        self._tag = tag
        self._sub = sub

    async def stop(self) -> None:
        with contextlib.suppress(*BUS_ERRORS):  # no connection, no deliveries
            await self._queue.cancel(self._tag, timeout=CONSUMER_ANSWER_S)

    async def waiting(self) -> int:
        async with asyncio.timeout(CONSUMER_ANSWER_S):
            # Not on the consumer's own channel: a missing queue closes the channel that asks.
            async with self._sub.channel(publisher_confirms=False) as probe:
                underlay = await probe.get_underlay_channel()
                counted = await underlay.queue_declare(self._queue.name, passive=True)
        return counted.message_count or 0


def delivery_of(message: AbstractIncomingMessage, queue: str) -> Delivery:
    """An aio-pika message in our shape."""
    return Delivery(
        queue=queue,
        type=message.type or "",
        message_id=message.message_id or "",
        user=message.user_id or "",
        headers=dict(message.headers or {}),
        body=message.body,
        receipt=AmqpReceipt(message),
        content_type=message.content_type or "",
        correlation_id=message.correlation_id or "",
        reply_to=message.reply_to or "",
        redelivered=bool(message.redelivered),
    )


class _NoReceipt:
    """Of answers: they are taken without acknowledgement."""

    def is_stale(self) -> bool:
        return False

    async def ack(self, *, up_to_here: bool = False) -> None:
        """Nothing to say."""

    async def give_back(self) -> None:
        """Nothing to give back."""


NO_RECEIPT: Final = _NoReceipt()
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
            await underlay.queue_declare(address, exclusive=True, auto_delete=True, timeout=CONSUMER_ANSWER_S)
        await underlay.basic_consume(address, self._on_message, no_ack=True, timeout=CONSUMER_ANSWER_S)
        self.address = address
        self.open.set()

    async def _on_reopen(self, *_: object) -> None:
        await self._listen()

    def _on_close(self, *_: object) -> None:
        self.open.clear()
        self._lost()

    async def _on_message(self, message: aiormq.abc.DeliveredMessage) -> None:
        sent = message.header.properties
        self._deliver(
            Delivery(
                queue="",
                type=sent.message_type or "",
                message_id=sent.message_id or "",
                user=sent.user_id or "",
                headers=dict(sent.headers or {}),
                body=message.body,
                receipt=NO_RECEIPT,
                content_type=sent.content_type or "",
                correlation_id=sent.correlation_id or "",
            )
        )


class AmqpTransport:
    """RabbitMQ, as one process sees it. Make one with `open`."""

    def __init__(
        self, pub: AbstractRobustConnection, sub: AbstractRobustConnection, *, url: str, service: str, reply: str
    ) -> None:
        self.user = user_of(url)
        self._service = service
        self._reply = reply
        self._pub = pub
        self._sub = sub
        self._kept: list[object] = []  # channels and subscriptions, so that they are not collected
        self._events: ConfirmedChannel
        self._calls: ConfirmedChannel | None = None
        self._answers: AnswerChannel | None = None
        self._replies: AbstractRobustChannel

    @classmethod
    async def open(cls, url: str, *, service: str, reply: str = "direct") -> Self:
        """Connect twice. `reply` is `direct` or `queue`. Raises BusError."""
        if reply not in {"direct", "queue"}:
            raise BusError(f"FANGATE_BUS_REPLY is direct or queue, not {reply}")
        pub = await connect(url, service=service, role="pub")
        try:
            sub = await connect(url, service=service, role="sub")
        except BaseException:
            await pub.close()
            raise
        transport = cls(pub, sub, url=url, service=service, reply=reply)
        transport._events = transport._confirmed(await transport._confirming_channel())
        transport._replies = await pub.channel(publisher_confirms=False)
        return transport

    async def _confirming_channel(self) -> AbstractRobustChannel:
        # Without `on_return_raises` an unroutable message returns something that looks like success.
        return await self._pub.channel(publisher_confirms=True, on_return_raises=True)

    def _confirmed(self, channel: AbstractRobustChannel) -> ConfirmedChannel:
        return ConfirmedChannel(channel, user=self.user, app=self._service)

    async def send(self, parcel: Parcel, *, timeout_s: float) -> None:
        await self._events.send(parcel, timeout_s=timeout_s, repeat=True)

    async def call(self, parcel: Parcel, *, timeout_s: float) -> None:
        assert self._calls is not None, "listen first"
        assert self._answers is not None, "listen first"
        ready_s = min(timeout_s, CALL_READY_PATIENCE_S)
        try:
            async with asyncio.timeout(ready_s):
                await self._answers.open.wait()
        except TimeoutError as exc:
            raise Refused(detail="not connected") from exc
        await self._calls.send(
            parcel, timeout_s=timeout_s, ready_s=ready_s, repeat=False, reply_to=self._answers.address
        )

    async def reply(self, parcel: Parcel) -> None:
        underlay = await underlay_of(self._replies)
        await underlay.basic_publish(
            parcel.body,
            exchange=parcel.exchange,
            routing_key=parcel.routing_key,
            properties=properties(parcel, self.user, self._service),
            mandatory=False,  # 3.10 returns answers by direct reply-to as unroutable
            wait=False,
        )

    async def listen(self, *, deliver: Callable[[Delivery], None], lost: Callable[[], None]) -> None:
        channel = await self._confirming_channel()
        self._calls = self._confirmed(channel)
        self._answers = AnswerChannel(channel, reply=self._reply, service=self._service, deliver=deliver, lost=lost)
        await self._answers.start()

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> AmqpSubscription:
        channel = await self._sub.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=prefetch, timeout=CONSUMER_ANSWER_S)
        try:
            declared = await channel.declare_queue(queue, passive=True, timeout=CONSUMER_ANSWER_S)
        except aiormq.exceptions.ChannelNotFoundEntity as exc:
            raise QueueMissing(queue) from exc

        async def hand_over(message: AbstractIncomingMessage) -> None:
            deliver(delivery_of(message, queue))

        tag = await declared.consume(hand_over, timeout=CONSUMER_ANSWER_S)
        subscription = AmqpSubscription(channel, declared, tag, self._sub)
        self._kept.append(subscription)
        return subscription

    async def check(self) -> None:
        for role, connection in (("publishing", self._pub), ("consuming", self._sub)):
            if not connection.connected.is_set() or connection.transport is None:
                raise BusError(f"the {role} connection is down")
        try:
            # aiormq keeps the blocked flag private; `ready()` waits while it is set.
            await asyncio.wait_for(self._pub.transport.connection.ready(), BLOCKED_LOOK_S)  # type: ignore[union-attr]
        except TimeoutError as exc:
            metrics.BLOCKED.set(1)
            raise BusError("the broker takes no messages now (memory or disk alarm)") from exc
        metrics.BLOCKED.set(0)

    async def close(self) -> None:
        await self._sub.close()
        await self._pub.close()
        self._kept.clear()
