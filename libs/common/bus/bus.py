"""The bus of one process: publish, call, consume."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, Self

from libs.common.bus.batch import BatchWorker
from libs.common.bus.connection import AmqpTransport
from libs.common.bus.consumer import Consumer, Mode
from libs.common.bus.errors import BUS_ERRORS, BusError, ConsumerStuck, is_lost
from libs.common.bus.incoming import Incoming
from libs.common.bus.jobs import JobWorkers, Sleep
from libs.common.bus.publisher import Breaker, BusPublisher
from libs.common.bus.rpc import PENDING_MAX, PENDING_PER_ORG_MAX, RpcClient
from libs.common.bus.rpc_server import RpcServer
from libs.common.bus.traced import record_handlers
from libs.common.bus.transport import Subscription, Transport
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.envelope import Message
from libs.common.telemetry import spans
from libs.common.telemetry.log import logger

WATCH_EVERY_S: Final = 15.0
ALARM_LOOK_S: Final = 1.0  # a scrape comes every few seconds at most
STUCK_AFTER_LOOKS: Final = 4  # a minute of messages that wait while nothing arrives: "reconnected with 0 consumers"

log = logger(__name__)


class Worker(Protocol):
    """What handles the deliveries of one consumer."""

    incoming: Incoming

    @property
    def is_idle(self) -> bool: ...
    def tasks(self) -> list[Callable[[], Awaitable[None]]]: ...
    async def give_back(self) -> None: ...


class Bus:
    """One process on the bus. `connect`, hand `run` to the process as a background task, `start` the consumers."""

    def __init__(
        self, transport: Transport, *, service: str, clock: Clock | None = None, pending_max: int = PENDING_MAX,
        pending_per_org_max: int = PENDING_PER_ORG_MAX, sleep: Sleep = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._sleep = sleep
        self._service = service
        self._clock = clock or SystemClock()
        breaker = Breaker()
        self.publisher: BusPublisher = BusPublisher(transport, breaker)
        self._rpc = RpcClient(
            transport, breaker, clock=self._clock, pending_max=pending_max, pending_per_org_max=pending_per_org_max
        )
        self._started: list[tuple[Worker, Subscription, Consumer]] = []
        self._loops: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None

    @classmethod
    async def connect(
        cls, url: str, *, service: str, reply: str = "direct", pending_max: int = PENDING_MAX,
        pending_per_org_max: int = PENDING_PER_ORG_MAX,
    ) -> Self:  # fmt: skip
        """Connect to RabbitMQ, waiting up to 30 s for it. `reply` is `direct` or `queue`. Raises BusError."""
        transport = await AmqpTransport.open(url, service=service, reply=reply)
        return cls(transport, service=service, pending_max=pending_max, pending_per_org_max=pending_per_org_max)

    def call(
        self, request: Message, *, org_id: uuid.UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> Coroutine[Any, Any, tuple[Message, bytes]]:
        """Ask another service and wait until `deadline_ms` (Unix milliseconds); returns its reply and the reply's blob.

        Raises `Refused` (definite, nothing was sent), `DeadlinePassed` (unknown), `RpcError(code, public, **fields)`.
        """
        return self._rpc.call(request, org_id=org_id, deadline_ms=deadline_ms, blob=blob, traceparent=traceparent)

    async def start(self, consumers: Sequence[Consumer]) -> None:
        """Check that the queues exist, then consume them. Raises `QueueMissing`."""
        recorder = spans.recorder()
        for consumer in consumers:
            if recorder is not None:
                record_handlers(consumer, recorder)
            worker = self._worker(consumer)
            # Workers before deliveries: nothing may arrive that nobody will take.
            for loop in worker.tasks():
                self._spawn(loop)
            subscription = await self._transport.consume(
                consumer.queue, prefetch=consumer.prefetch, deliver=worker.incoming.put
            )
            self._started.append((worker, subscription, consumer))

    def _worker(self, consumer: Consumer) -> Worker:
        match consumer.mode:
            case Mode.RPC:
                return RpcServer(consumer, self._transport, service=self._service, clock=self._clock)
            case Mode.JOBS:
                return JobWorkers(consumer, self.publisher, service=self._service, sleep=self._sleep)
            case Mode.BATCH:
                return BatchWorker(consumer, self.publisher, service=self._service, sleep=self._sleep)

    def _spawn(self, loop: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            await loop()

        task = asyncio.create_task(guarded())
        self._loops.add(task)
        task.add_done_callback(self._on_loop_end)

    def _on_loop_end(self, task: asyncio.Task[None]) -> None:
        self._loops.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("a bus worker died", error=repr(error))
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def run(self) -> None:
        """Watch over the workers for ever. Raises when one died or a consumer is stuck: the process must start afresh,
        since lost concurrency is invisible otherwise.
        """
        self._failed = asyncio.get_running_loop().create_future()
        looking = asyncio.create_task(self._look_for_alarms(), name="look for alarms")
        try:
            await self._watch_workers(self._failed)
        finally:
            looking.cancel()

    async def _look_for_alarms(self) -> None:
        """Keep `fangate_bus_blocked` true by itself: whoever reads the metrics need not ask for readiness too."""
        while True:
            with contextlib.suppress(BusError, *BUS_ERRORS):  # readiness raises these where somebody listens
                await self._transport.check()
            await asyncio.sleep(ALARM_LOOK_S)

    async def _watch_workers(self, failed: "asyncio.Future[None]") -> None:
        looks: dict[str, int] = {}
        seen: dict[str, int] = {}
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(failed), WATCH_EVERY_S)
            for worker, subscription, consumer in self._started:
                moved = seen.get(consumer.queue) != worker.incoming.count
                seen[consumer.queue] = worker.incoming.count
                if moved or not worker.is_idle or not await self._something_waits(subscription):
                    looks[consumer.queue] = 0
                    continue
                looks[consumer.queue] = looks.get(consumer.queue, 0) + 1
                if looks[consumer.queue] >= STUCK_AFTER_LOOKS:
                    raise ConsumerStuck(f"{consumer.queue}: messages wait and none arrives")

    async def _something_waits(self, subscription: Subscription) -> bool:
        try:
            return await subscription.waiting() > 0
        except Exception as exc:
            if not is_lost(exc):
                raise
            return False  # no connection: that is the reconnect's business

    async def drain(self, timeout_s: float) -> None:
        """Stop consuming; what was begun has `timeout_s` to finish, what was not goes back to its queue."""
        for _, subscription, _ in self._started:
            await subscription.stop()
        for worker, _, _ in self._started:
            with contextlib.suppress(*BUS_ERRORS):
                await worker.give_back()
        if self._loops:
            _, unfinished = await asyncio.wait(self._loops, timeout=timeout_s)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
            if unfinished:
                log.warning("work was cut off by the drain", count=len(unfinished))
        self._started.clear()

    async def close(self) -> None:
        """Give up calls under way, end consumers, then connections."""
        await self.drain(0)
        await self._rpc.close()
        await self._transport.close()

    async def check(self) -> None:
        """For readiness: raises when the bus cannot be used right now."""
        if self._failed is not None and self._failed.done():
            raise BusError("a worker died")
        await self._transport.check()
