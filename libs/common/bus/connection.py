"""RabbitMQ behind the `Transport` port: two robust connections per process, and the rules that aio-pika's traps ask for.

Publishing and consuming never share a connection: a memory alarm blocks the publishing one only. Callbacks of aio-pika
do nothing but hand over, since a lost channel cancels them in the middle.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError

from libs.common.bus import metrics
from libs.common.bus.channels import (
    AnswerChannel,
    ConfirmedChannel,
    underlay_of,
)
from libs.common.bus.errors import BusError, is_lost
from libs.common.bus.publish import publish
from libs.common.bus.subscription import AmqpSubscription
from libs.common.bus.transport import Delivery, Parcel
from libs.common.bus.tuning import tune
from libs.common.errors import Refused
from libs.common.telemetry.log import logger

HEARTBEAT_S: Final = 10  # a dead peer is found after 3 x (10 + 1) s; the default of 60 means three minutes
RECONNECT_INTERVAL_S: Final = 1
CONNECT_PATIENCE_S: Final = 30  # how long a start waits for a broker that is starting too
CONNECTION_TIMEOUT_S: Final = 5.0
BLOCKED_LOOK_S: Final = 0.05
CALL_READY_PATIENCE_S: Final = 2.0  # a reconnect takes less; a caller is better told 503 than kept waiting

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
    tune()
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + CONNECT_PATIENCE_S
    while True:
        try:
            connection = await aio_pika.connect_robust(
                connection_url(url, service=service, role=role), timeout=CONNECTION_TIMEOUT_S
            )
        except (AuthenticationError, ProbableAuthenticationError) as exc:
            raise BusError(f"the broker refuses the login of {service}: check user, password and vhost") from exc
        except Exception as exc:
            if not isinstance(exc, OSError) and not is_lost(exc):
                raise
            if loop.time() > give_up_at:
                raise BusError("no broker answers") from exc
            await asyncio.sleep(RECONNECT_INTERVAL_S)
        else:
            connection.reconnect_callbacks.add(partial(_note_reconnect, role))
            return connection


def _note_reconnect(role: str, *_: object) -> None:
    metrics.RECONNECTS.labels(role).inc()


async def open_channel(connection: AbstractRobustConnection, *, confirms: bool) -> AbstractRobustChannel:
    """A channel, with confirms for publishers. Raises one of BUS_ERRORS."""
    try:
        # Without `on_return_raises` an unroutable message returns something that looks like success.
        return await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    except RuntimeError as exc:  # how aiormq says that the connection is closed
        raise ConnectionError("the connection is closed") from exc


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
        self._events: ConfirmedChannel
        self._calls: ConfirmedChannel | None = None
        self._answers: AnswerChannel | None = None
        self._replies: AbstractRobustChannel

    @classmethod
    async def open(cls, url: str, *, service: str, reply: str = "direct") -> Self:
        """Connect twice. `reply` is `direct` or `queue`. Raises BusError."""
        if reply not in {"direct", "queue"}:
            raise BusError(f"FANGATE_BUS_REPLY is direct or queue, not {reply}")
        # aio-pika reports each callback that a lost connection cut short as an error; that we reconnect is counted.
        logging.getLogger("aio_pika.tools").setLevel(logging.CRITICAL)
        pub = await connect(url, service=service, role="pub")
        try:
            sub = await connect(url, service=service, role="sub")
        except BaseException:
            await pub.close()
            raise
        transport = cls(pub, sub, url=url, service=service, reply=reply)
        transport._events = transport._confirmed(await open_channel(pub, confirms=True))
        transport._replies = await open_channel(pub, confirms=False)
        return transport

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
        publish(underlay, parcel, user=self.user, app=self._service)

    async def listen(self, *, deliver: Callable[[Delivery], None], lost: Callable[[], None]) -> None:
        channel = await open_channel(self._pub, confirms=True)
        self._calls = self._confirmed(channel)
        self._answers = AnswerChannel(channel, reply=self._reply, service=self._service, deliver=deliver, lost=lost)
        await self._answers.start()

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> AmqpSubscription:
        return await AmqpSubscription.start(self._sub, queue, prefetch=prefetch, deliver=deliver)

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
