"""Messages out, each with a confirm: the `Publisher` of `contracts/wire.py` over a transport."""

import time
from collections.abc import Callable
from typing import Final

from libs.common.bus import metrics
from libs.common.bus.topology import is_kept
from libs.common.bus.transport import Parcel, Transport
from libs.common.contracts.wire import Outgoing
from libs.common.errors import Refused, Unconfirmed

IN_FLIGHT_MAX: Final = 5_000  # unconfirmed messages: while the broker takes nothing they lie in our memory
UNKNOWN_MAX: Final = 5  # this many publishes without an answer in a row, and we stop asking
OPEN_S: Final = 1.0


class Breaker:
    """Stops publishing to a broker that does not answer: after 5 unknown outcomes in a row everything is refused at once
    for a second, then one probe goes through.
    """

    def __init__(self, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._stopwatch = stopwatch
        self._unknown = 0
        self._opens_at = 0.0
        self._probing = False

    def admit(self) -> None:
        """Raises `Refused` while open."""
        if self._unknown < UNKNOWN_MAX:
            return
        if self._probing or self._stopwatch() < self._opens_at:
            raise Refused(detail="the broker does not confirm")
        self._probing = True

    def answered(self) -> None:
        """The broker said something, yes or no."""
        self._unknown = 0
        self._probing = False

    def unanswered(self) -> None:
        """Nobody knows."""
        self._unknown += 1
        self._probing = False
        self._opens_at = self._stopwatch() + OPEN_S

    def withdrawn(self) -> None:
        """The caller went away before an outcome."""
        self._probing = False


class BusPublisher:
    """Publishes what `encode` made. Safe to call from many tasks at once: confirms are pipelined."""

    def __init__(self, transport: Transport, breaker: Breaker) -> None:
        self._transport = transport
        self._breaker = breaker
        self._in_flight = 0

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        """See `Publisher`. An event that only edges would hear may be published to nobody."""
        parcel = Parcel(
            exchange=message.exchange,
            routing_key=message.routing_key,
            type=message.type,
            message_id=str(message.message_id),
            headers=message.headers,
            body=message.body,
            mandatory=is_kept(message.exchange, message.routing_key),
        )
        await self.send(parcel, timeout_s=timeout_s)

    async def send(self, parcel: Parcel, *, timeout_s: float) -> None:
        """Publish any parcel with the same care: breaker, bound, metrics."""
        if self._in_flight >= IN_FLIGHT_MAX:
            raise Refused(detail="too many unconfirmed messages")
        self._breaker.admit()
        self._in_flight += 1
        started = time.perf_counter()
        outcome = "confirmed"
        try:
            await self._transport.send(parcel, timeout_s=timeout_s)
        except Refused:
            outcome = "refused"
            self._breaker.answered()
            raise
        except Unconfirmed:
            outcome = "unknown"
            self._breaker.unanswered()
            raise
        except BaseException:
            outcome = "unknown"
            self._breaker.withdrawn()
            raise
        else:
            self._breaker.answered()
            metrics.PUBLISH_SECONDS.observe(time.perf_counter() - started)
        finally:
            self._in_flight -= 1
            metrics.published(parcel.type, outcome).inc()
