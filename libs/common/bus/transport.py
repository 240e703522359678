"""What the bus needs from a broker: the two shapes a message has on the way, and the ports.

`connection.py` talks to RabbitMQ, `memory.py` is the double; all rules above (retries, rpc, batches, sender checks) are
written once, against these.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

JSON: Final = "application/json"
BLOB: Final = "application/octet-stream"
STRUCT_HEADER: Final = "struct"  # the Struct's JSON of a message whose body is a blob
STRUCT_HEADER_BYTES_MAX: Final = 16 << 10  # the content header must fit one frame of 128 KiB with room to spare


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way out, with everything that AMQP is told about it."""

    exchange: str
    routing_key: str
    type: str
    message_id: str
    headers: dict[str, Any]  # strings and integers only
    body: bytes
    content_type: str = JSON
    correlation_id: str = ""
    expiration_ms: int | None = None  # dropped by the broker when nobody took it in time
    persistent: bool = True
    mandatory: bool = True  # refused when no queue takes it


class Receipt(Protocol):
    """The right to settle one delivery."""

    def is_stale(self) -> bool:
        """True when the channel it came by is gone: the broker delivers it again, so it must not be handled."""
        ...

    async def ack(self, *, up_to_here: bool = False) -> None:
        """Done; with `up_to_here` all earlier ones of this subscription too. Raises one of `BUS_ERRORS` when stale."""
        ...

    async def give_back(self) -> None:
        """Not started: put it back into its queue. Raises one of `BUS_ERRORS` when stale."""
        ...


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that came in, before anything about it was believed."""

    queue: str
    type: str
    message_id: str
    user: str  # verified by the broker; empty when the publisher did not say
    headers: dict[str, Any]
    body: bytes
    receipt: Receipt
    content_type: str = JSON
    correlation_id: str = ""
    reply_to: str = ""
    redelivered: bool = False


class Subscription(Protocol):
    """A running consumer of one queue."""

    async def stop(self) -> None:
        """No further deliveries; those in hand can still be settled."""
        ...

    async def waiting(self) -> int:
        """How many messages lie ready in the queue."""
        ...


class Transport(Protocol):
    """A broker, as one process sees it."""

    user: str  # whose name every message carries

    async def send(self, parcel: Parcel, *, timeout_s: float) -> None:
        """Return when the broker has confirmed; tries again while time is left. Raises `Refused` or `Unconfirmed`."""
        ...

    async def call(self, parcel: Parcel, *, timeout_s: float) -> None:
        """Send a request whose answers come to this process. Never sent twice. Raises `Refused` or `Unconfirmed`."""
        ...

    async def reply(self, parcel: Parcel) -> None:
        """Send an answer, unconfirmed. Raises one of `BUS_ERRORS` when there is no connection."""
        ...

    async def listen(self, *, deliver: Callable[[Delivery], None], lost: Callable[[], None]) -> None:
        """Take the answers to our calls. `lost` is told when those under way can no longer arrive."""
        ...

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> Subscription:
        """Have the messages of `queue` handed to `deliver`, on a channel of its own. Raises `QueueMissing`."""
        ...

    async def check(self) -> None:
        """Raise when publishing or consuming is not possible right now."""
        ...

    async def close(self) -> None:
        """Consumers first, publishers after them."""
        ...
