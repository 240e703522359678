"""The bus without a broker, for tests: the same publisher, consumers, rpc and retries over queues in memory.

Everything above the `Transport` port is the real thing; only the broker is a double, and `tests/contract/bus` holds it to
RabbitMQ's behaviour. Waiting rooms and pauses take no time unless `time_scale` says otherwise.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from libs.common.bus.bus import Bus
from libs.common.bus.errors import BusError, QueueMissing
from libs.common.bus.topology import DEAD, DEAD_SUFFIX, QUEUES, RUNGS, routes_to
from libs.common.bus.transport import Delivery, Parcel
from libs.common.clock import Clock
from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.contracts.wire import COMMANDS, EVENTS
from libs.common.errors import Refused, Unconfirmed

SETTLE_TIMEOUT_S: Final = 10.0


class _Entry(msgspec.Struct, kw_only=True):
    """A message that lies in a queue."""

    parcel: Parcel
    user: str
    reply_to: str = ""
    redelivered: bool = False


class MemoryQueue:
    """Messages in order and those who take them."""

    def __init__(self, name: str, *, is_single_active: bool = False) -> None:
        self.name = name
        self.is_single_active = is_single_active
        self.ready: deque[_Entry] = deque()
        self.consumers: list[MemorySubscription] = []

    def put(self, entry: _Entry) -> None:
        self.ready.append(entry)
        self.pump()

    def pump(self) -> None:
        """Hand out what the consumers may hold, in turns."""
        while self.ready:
            candidates = self.consumers[:1] if self.is_single_active else self.consumers
            taker = next((one for one in candidates if len(one.unsettled) < one.prefetch), None)
            if taker is None:
                return
            taker.take(self.ready.popleft())
            if not self.is_single_active:
                self.consumers.append(self.consumers.pop(0))


class MemorySubscription:
    """One consumer of one queue."""

    def __init__(self, queue: MemoryQueue, prefetch: int, deliver: Callable[[Delivery], None]) -> None:
        self._queue = queue
        self.prefetch = prefetch
        self._deliver = deliver
        self._tag = 0
        self.unsettled: dict[int, _Entry] = {}
        self.is_cut = False  # the connection is gone: receipts are stale

    def take(self, entry: _Entry) -> None:
        self._tag += 1
        self.unsettled[self._tag] = entry
        delivery = delivered(entry, self._queue.name, MemoryReceipt(self, self._tag))
        asyncio.get_running_loop().call_soon(self._deliver, delivery)

    def settle(self, tag: int, *, up_to_here: bool) -> None:
        for done in [one for one in self.unsettled if one == tag or (up_to_here and one < tag)]:
            del self.unsettled[done]
        self._queue.pump()

    def put_back(self, tag: int) -> None:
        entry = self.unsettled.pop(tag)
        entry.redelivered = True
        self._queue.ready.appendleft(entry)
        self._queue.pump()

    def cut(self) -> None:
        """Lose the connection: everything unsettled goes back, in order."""
        self.is_cut = True
        if self in self._queue.consumers:
            self._queue.consumers.remove(self)
        for tag in sorted(self.unsettled, reverse=True):
            self.put_back(tag)

    async def stop(self) -> None:
        if self in self._queue.consumers:
            self._queue.consumers.remove(self)

    async def waiting(self) -> int:
        return len(self._queue.ready)


class MemoryReceipt:
    """Settles one delivery."""

    def __init__(self, subscription: MemorySubscription, tag: int) -> None:
        self._subscription = subscription
        self._tag = tag

    def is_stale(self) -> bool:
        return self._subscription.is_cut

    async def ack(self, *, up_to_here: bool = False) -> None:
        if self.is_stale():
            raise ConnectionError("stale")
        self._subscription.settle(self._tag, up_to_here=up_to_here)

    async def give_back(self) -> None:
        if self.is_stale():
            raise ConnectionError("stale")
        self._subscription.put_back(self._tag)


def delivered(entry: _Entry, queue: str, receipt: MemoryReceipt) -> Delivery:
    """How a message looks to its consumer."""
    parcel = entry.parcel
    return Delivery(
        queue=queue, type=parcel.type, message_id=parcel.message_id, user=entry.user, headers=dict(parcel.headers),
        body=parcel.body, receipt=receipt, content_type=parcel.content_type, correlation_id=parcel.correlation_id,
        reply_to=entry.reply_to, redelivered=entry.redelivered,
    )  # fmt: skip


class MemoryBroker:
    """Routes as the topology says. Share one between the `MemoryBus`es of several services."""

    def __init__(self, *, time_scale: float = 0.0) -> None:
        self.time_scale = time_scale  # 1 = the waiting rooms take their real time
        self.queues = {queue.name: MemoryQueue(queue.name, is_single_active=queue.single_active) for queue in QUEUES}
        for queue in QUEUES:
            if queue.policy == "job":
                self.queues[queue.dead] = MemoryQueue(queue.dead)
        self.listeners: dict[str, Callable[[Delivery], None]] = {}  # answer address -> its process
        self._asleep = 0

    def publish(self, entry: _Entry) -> None:
        """Raises `Refused` for a mandatory message that no queue takes."""
        parcel = entry.parcel
        targets = self._targets(parcel)
        if not targets and parcel.mandatory:
            raise Refused(detail=f"unroutable: {parcel.exchange}/{parcel.routing_key}")
        for target in targets:
            target.put(msgspec.structs.replace(entry))

    def _targets(self, parcel: Parcel) -> list[MemoryQueue]:
        key = parcel.routing_key
        if parcel.exchange in {COMMANDS, EVENTS}:
            return [self.queues[queue.name] for queue in QUEUES if routes_to(queue, parcel.exchange, key)]
        name = key + DEAD_SUFFIX if parcel.exchange == DEAD else key
        return [self.queues[name]] if name in self.queues else []

    def wait_in_rung(self, entry: _Entry, seconds: float) -> None:
        """Bring the message back into the queue its routing key names."""
        self._asleep += 1

        def wake() -> None:
            self._asleep -= 1
            self.queues[entry.parcel.routing_key].put(entry)

        asyncio.get_running_loop().call_later(seconds * self.time_scale, wake)

    async def sleep(self, seconds: float) -> None:
        """A pause, scaled."""
        await asyncio.sleep(seconds * self.time_scale)

    @property
    def is_quiet(self) -> bool:
        """Nothing in hand, nothing asleep, and nothing that a consumer could take."""
        return not self._asleep and not any(
            queue.consumers and (queue.ready or any(one.unsettled for one in queue.consumers))
            for queue in self.queues.values()
        )

    async def settle(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until the broker is quiet. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            calm = 0
            while calm < 3:  # a handler may publish on its last step
                await asyncio.sleep(0)
                calm = calm + 1 if self.is_quiet else 0


class MemoryTransport:
    """One process at a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, service: str) -> None:
        self.user = service
        self.broker = broker
        self.sent: list[Parcel] = []
        self.subscriptions: list[MemorySubscription] = []
        self.failures: deque[tuple[type[Refused | Unconfirmed], bool]] = deque()
        self._address = f"answers.{service}.{uuid.uuid4().hex}"
        self._lost: Callable[[], None] = lambda: None
        self._is_closed = False

    async def send(self, parcel: Parcel, *, timeout_s: float) -> None:  # noqa: ARG002 - memory answers at once
        await asyncio.sleep(0)  # like the real one, never done at once
        self._publish(parcel, "")

    async def call(self, parcel: Parcel, *, timeout_s: float) -> None:  # noqa: ARG002 - memory answers at once
        await asyncio.sleep(0)
        self._publish(parcel, self._address)

    def _publish(self, parcel: Parcel, reply_to: str) -> None:
        failure, arrives = self.failures.popleft() if self.failures else (None, True)
        if failure is Refused:
            raise Refused(detail="as the test asked")
        if arrives:
            entry = _Entry(parcel=parcel, user=self.user, reply_to=reply_to)
            rung = next((rung for rung in RUNGS if rung.name == parcel.exchange), None)
            if rung is not None:
                self.broker.wait_in_rung(entry, rung.seconds)
            else:
                self.broker.publish(entry)
            self.sent.append(parcel)
        if failure is not None:
            raise Unconfirmed(detail="as the test asked")

    async def reply(self, parcel: Parcel) -> None:
        deliver = self.broker.listeners.get(parcel.routing_key)
        if deliver is None:
            return  # the caller is gone: dropped, as the broker does
        entry = _Entry(parcel=parcel, user=self.user)
        subscription = MemorySubscription(MemoryQueue(parcel.routing_key), 0, deliver)
        asyncio.get_running_loop().call_soon(deliver, delivered(entry, "", MemoryReceipt(subscription, 0)))

    async def listen(self, *, deliver: Callable[[Delivery], None], lost: Callable[[], None]) -> None:
        self.broker.listeners[self._address] = deliver
        self._lost = lost

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> MemorySubscription:
        if queue not in self.broker.queues:
            raise QueueMissing(queue)
        subscription = MemorySubscription(self.broker.queues[queue], prefetch, deliver)
        self.broker.queues[queue].consumers.append(subscription)
        self.subscriptions.append(subscription)
        self.broker.queues[queue].pump()
        return subscription

    async def check(self) -> None:
        if self._is_closed:
            raise BusError("closed")

    async def close(self) -> None:
        self._is_closed = True
        self.broker.listeners.pop(self._address, None)
        for subscription in self.subscriptions:
            subscription.cut()
        self._lost()


class MemoryBus(Bus):
    """A `Bus` for tests. Several services share a `MemoryBroker`; alone it makes its own."""

    def __init__(
        self, service: str = "test", broker: MemoryBroker | None = None, *, clock: Clock | None = None, **bounds: Any
    ) -> None:
        self.broker = broker or MemoryBroker()
        self.transport = MemoryTransport(self.broker, service)
        super().__init__(self.transport, service=service, clock=clock, sleep=self.broker.sleep, **bounds)

    @property
    def sent(self) -> list[Parcel]:
        """Everything that was published and arrived, in order: events, jobs, requests, copies for later and dead letters."""
        return self.transport.sent

    def sent_of(self, struct: type[Message]) -> list[Any]:
        """The messages of one type that were published, decoded."""
        name = REGISTRY.of(struct).name
        return [msgspec.json.decode(parcel.body, type=struct) for parcel in self.sent if parcel.type == name]

    def fail_next(self, error: type[Refused | Unconfirmed], *, times: int = 1, arrives: bool = False) -> None:
        """Let the next publishes fail; an `Unconfirmed` one arrives or not."""
        self.transport.failures.extend([(error, arrives)] * times)

    async def settle(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until everything published is handled."""
        await self.broker.settle(timeout_s)
