"""The workers of a jobs or events queue: try, try quickly again, wait in a rung, or die; slow down when all fails.

At least once: a message is acked after its effect, or after the copy that carries it on is confirmed.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Final

from libs.common.bus import metrics
from libs.common.bus.consumer import Consumer, Rejected, known_type, label_of, open_delivery
from libs.common.bus.errors import BUS_ERRORS
from libs.common.bus.incoming import Incoming
from libs.common.bus.publisher import BusPublisher
from libs.common.bus.retry import Dead, copy_for_later, dead_letter, decide
from libs.common.bus.told import tell
from libs.common.bus.transport import Delivery, Parcel
from libs.common.contracts.envelope import Context, Message
from libs.common.errors import Permanent, RetryAfter, Transient, Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.trace import current_traceparent

QUICK_TRIES: Final = 2  # in place, before a rung: most hiccups are over within half a second
QUICK_PAUSE_S: Final = (0.1, 0.5)
HANDLER_TIMEOUT_S: Final = 600.0  # the broker closes the channel of a consumer that is silent for 30 min
BRAKE_AFTER: Final = 20  # failures in a row: not the messages are at fault but the world
BRAKE_PAUSE_S: Final = 5.0
COPY_TIMEOUT_S: Final = 5.0
COPY_PAUSE_S: Final = (0.5, 5.0)  # first and longest pause while the broker takes no copy

log = logger(__name__)
Sleep = Callable[[float], Coroutine[None, None, None]]


class Carrier:
    """Moves a message on (to a rung, to the dead letters) and settles the original only when the copy is confirmed."""

    def __init__(self, consumer: Consumer, publisher: BusPublisher, *, service: str, sleep: Sleep) -> None:
        self._queue = consumer.queue
        self._publisher = publisher
        self._service = service
        self._sleep = sleep
        self.closing = False

    async def later_or_dead(self, delivery: Delivery, error: BaseException, attempt: int) -> str:
        """Returns the outcome's label. Raises one of BUS_ERRORS or Unavailable when the message must stay where it is."""
        step = decide(error, attempt)
        if isinstance(step, Dead):
            return await self.dead(delivery, step.reason, error, attempt)
        await self._carry(delivery, copy_for_later(delivery, step.rung, error, attempt))
        metrics.RETRIED.labels(self._queue, step.rung.name).inc()
        return "retried"

    async def dead(self, delivery: Delivery, reason: str, error: BaseException, attempt: int) -> str:
        """Put a message aside for a person."""
        log.error(
            "dead letter",
            queue=self._queue,
            type=delivery.type,
            id=delivery.message_id,
            reason=reason,
            error=str(error),
        )
        await self._carry(delivery, dead_letter(delivery, reason, error, attempt, self._service))
        metrics.DEAD.labels(self._queue, reason).inc()
        return "dead"

    async def _carry(self, delivery: Delivery, copy: Parcel) -> None:
        pause_s = COPY_PAUSE_S[0]
        while True:
            try:
                await self._publisher.send(copy, timeout_s=COPY_TIMEOUT_S)
                return
            except Unavailable:
                # The original stays unacked in our hand: nothing is lost, and at worst there are two copies.
                if self.closing or delivery.receipt.is_stale():
                    raise
                await self._sleep(pause_s)
                pause_s = min(2 * pause_s, COPY_PAUSE_S[1])


class JobWorkers:
    """`consumer.workers` tasks that handle what comes in."""

    def __init__(
        self, consumer: Consumer, publisher: BusPublisher, *, service: str, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._consumer = consumer
        self._service = service
        self._sleep = sleep
        self._carrier = Carrier(consumer, publisher, service=service, sleep=sleep)
        self.incoming = Incoming(consumer.queue)
        self._released = asyncio.Event()  # set while the brake is off
        self._released.set()
        self._failures = 0
        self._in_hand = metrics.IN_FLIGHT.labels(consumer.queue)
        self._seconds = metrics.HANDLE_SECONDS.labels(consumer.queue)
        self._brake = metrics.BRAKE.labels(consumer.queue)
        self._in_hand_count = 0

    @property
    def is_idle(self) -> bool:
        """Nothing in hand."""
        return self._in_hand_count == 0 and self.incoming.is_empty

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """The loops to run."""
        return [partial(self._work, number) for number in range(self._consumer.workers)]

    async def give_back(self) -> None:
        """For a drain, after the subscription stopped: return what no worker began, and let the workers end."""
        self._carrier.closing = True
        self._released.set()
        await self.incoming.close(self._consumer.workers)

    async def _work(self, number: int) -> None:
        while True:
            if number > 0:
                await self._released.wait()
            elif not self._released.is_set():
                await self._pause(BRAKE_PAUSE_S)
            delivery = await self.incoming.get()
            if delivery is None:
                return
            self._in_hand_count += 1
            self._in_hand.inc()
            try:
                outcome = await self._settle(delivery)
            except (*BUS_ERRORS, Unavailable):
                outcome = "stale"  # the broker will deliver it again; the effect is guarded by the inbox
            except Exception:
                metrics.BROKEN.inc()
                log.exception("a worker failed", queue=self._consumer.queue)
                outcome = "broken"
            finally:
                self._in_hand_count -= 1
                self._in_hand.dec()
            metrics.handled(self._consumer.queue, label_of(delivery), outcome).inc()

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through a release: a drain must not wait for the brake."""
        either = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._released.wait())}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in either:
                task.cancel()

    async def _settle(self, delivery: Delivery) -> str:
        # Stale first: the broker has given it to somebody else by now, handling it would only double the work.
        if delivery.receipt.is_stale():
            return "stale"
        try:
            entry = known_type(delivery, self._consumer, self._service)
            message, context = open_delivery(delivery, entry)
        except Rejected as exc:
            outcome = await self._carrier.dead(delivery, exc.reason, exc, _attempt(delivery))
        else:
            error = await self._try(message, context)
            if error is None:
                outcome = "done"
            else:
                outcome = await self._carrier.later_or_dead(delivery, error, context.attempt)
        await delivery.receipt.ack()
        return outcome

    async def _try(self, message: Message, context: Context) -> BaseException | None:
        """Run the handler, quickly again if that may help; None, or what to say about the failure."""
        handler = self._consumer.handlers[context.type]
        token = current_traceparent.set(context.traceparent)
        started = time.perf_counter()
        outcome = "failed"
        try:
            for tried in range(QUICK_TRIES + 1):
                try:
                    async with asyncio.timeout(HANDLER_TIMEOUT_S):
                        await handler(message, context)
                except (Permanent, RetryAfter) as exc:
                    return exc
                except Exception as exc:
                    if not isinstance(exc, Transient):
                        metrics.BROKEN.inc()
                        log.exception(
                            "a handler failed",
                            queue=self._consumer.queue,
                            type=context.type,
                            id=str(context.message_id),
                        )
                    if tried == QUICK_TRIES or self._carrier.closing:
                        self._note_failure()
                        return exc
                    await self._sleep(random.uniform(*QUICK_PAUSE_S))  # noqa: S311 - jitter, not a secret
                else:
                    self._note_success()
                    outcome = "done"
                    return None
            return None
        finally:
            seconds = time.perf_counter() - started
            self._seconds.observe(seconds)
            tell(self._consumer.queue, context, outcome, seconds)
            current_traceparent.reset(token)

    def _note_failure(self) -> None:
        self._failures += 1
        if self._failures >= BRAKE_AFTER and not self._carrier.closing and self._released.is_set():
            log.warning("brake: one worker, slowly", queue=self._consumer.queue, failures=self._failures)
            self._released.clear()
            self._brake.set(1)

    def _note_success(self) -> None:
        self._failures = 0
        if not self._released.is_set():
            self._released.set()
            self._brake.set(0)


def _attempt(delivery: Delivery) -> int:
    attempt = delivery.headers.get("attempt")
    return attempt if isinstance(attempt, int) else 1
