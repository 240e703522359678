"""What a service consumes: declared with `rpc`, `jobs`, `events` and `batch`, started by `Bus.start`. And the checks that
every message passes before a handler sees it.
"""

import enum
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self, TypeAlias, cast

import msgspec

from libs.common.bus.transport import STRUCT_HEADER, Delivery
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.registry import REGISTRY, MessageType

Reply: TypeAlias = Message | tuple[Message, bytes] | None
Handler: TypeAlias = Callable[[Any, Context], Awaitable[Reply]]
BatchHandler: TypeAlias = Callable[[list[tuple[Any, Context]]], Awaitable[None]]

OPERATOR: Final = "operator"  # the login of the replay tool
REPLAYED_BY: Final = "replayed-by"  # its header: who took the message from the dead letters


class Mode(enum.StrEnum):
    """How a queue is worked off."""

    RPC = "rpc"
    JOBS = "jobs"
    BATCH = "batch"


class Consumer:
    """One queue, its bounds, and a handler per message type."""

    def __init__(
        self,
        mode: Mode,
        queue: str,
        *,
        prefetch: int,
        workers: int = 1,
        size: int = 0,
        wait_s: float = 0.0,
        lull_bytes: int = 0,
        lull_s: float = 0.0,
    ) -> None:
        self.mode = mode
        self.queue = queue
        self.prefetch = prefetch
        self.workers = workers
        self.size = size
        self.wait_s = wait_s
        self.lull_bytes = lull_bytes
        self.lull_s = lull_s
        self.handlers: dict[str, Callable[..., Awaitable[Any]]] = {}

    def on(self, *structs_then_handler: type[Message] | Handler | BatchHandler) -> Self:
        """Give messages of the struct types named first to the handler named last. A batch has one handler.

        Raises TypeError for what is no message type, ValueError for a type that is taken already or whose kind does not fit, KeyError for an unregistered one.
        """
        *structs, last = structs_then_handler
        handler = cast(Callable[..., Awaitable[Any]], last)
        for struct in structs:
            if not (isinstance(struct, type) and issubclass(struct, Message)):
                raise TypeError(f"{self.queue}: {struct!r} is not a message type")
            entry = REGISTRY.of(struct)
            if (entry.kind == "rpc") is not (self.mode is Mode.RPC):
                raise ValueError(f"{self.queue}: {entry.name} is of kind {entry.kind}, this queue is for {self.mode}")
            if entry.name in self.handlers:
                raise ValueError(f"{self.queue}: {entry.name} has a handler already")
            self.handlers[entry.name] = handler
        if not structs or isinstance(handler, type):
            raise ValueError(f"{self.queue}: name the message types, then the handler")
        if self.mode is Mode.BATCH and len(set(self.handlers.values())) > 1:
            raise ValueError(f"{self.queue}: a batch has one handler")
        return self


def rpc(queue: str, *, prefetch: int = 64, workers: int = 64) -> Consumer:
    """Answer calls. `prefetch` bounds the bus messages in hand, `workers` the handlers of unframed calls at work."""
    return Consumer(Mode.RPC, queue, prefetch=prefetch, workers=workers)


def jobs(queue: str, *, prefetch: int, workers: int) -> Consumer:
    """Do commands, each at least once."""
    return Consumer(Mode.JOBS, queue, prefetch=prefetch, workers=workers)


def events(queue: str, *, prefetch: int = 50, workers: int = 20) -> Consumer:
    """Hear facts, each at least once. The same machine as `jobs`."""
    return Consumer(Mode.JOBS, queue, prefetch=prefetch, workers=workers)


def batch(queue: str, *, size: int, wait_s: float, lull_bytes: int = 0, lull_s: float = 0.0) -> Consumer:
    """Hear facts in groups of up to `size`, or what arrived `wait_s` after the first; one group at a time, in order.

    In a lull, when that is less than `lull_bytes` of bodies, the group waits until it is more, or `lull_s` old.
    """
    prefetch = 2 * size  # one in flight, one filling
    return Consumer(
        Mode.BATCH, queue, prefetch=prefetch, size=size, wait_s=wait_s, lull_bytes=lull_bytes, lull_s=lull_s
    )


class Rejected(Exception):
    """A message that no handler may see; `reason` is the label of its dead letter."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


def known_type(delivery: Delivery, consumer: Consumer, service: str) -> MessageType:
    """The type of a delivery that this consumer may take. Raises `Rejected`.

    The sender comes first: a forged message must not cost a decode, nor learn which types are handled here.
    """
    entry = REGISTRY.by_name(delivery.type)
    if entry is None:
        raise Rejected("unknown_type", delivery.type)
    # Our own name: retries come back under it. The operator's: replays.
    if delivery.user not in entry.senders and delivery.user not in {service, OPERATOR}:
        raise Rejected("forged_sender", f"{delivery.type} from {delivery.user or 'nobody'}")
    if entry.name not in consumer.handlers:
        raise Rejected("unknown_type", delivery.type)
    return entry


def open_delivery(delivery: Delivery, entry: MessageType) -> tuple[Message, Context]:
    """Decode body and envelope. Raises `Rejected` for anything malformed."""
    headers = delivery.headers
    raw, blob = delivery.body, b""
    try:
        if STRUCT_HEADER in headers:
            raw, blob = _text(headers[STRUCT_HEADER]).encode(), delivery.body
        message = decode_struct(entry.struct, raw)
        context = Context(
            message_id=uuid.UUID(delivery.message_id),
            type=delivery.type,
            sender=delivery.user,
            org_id=_uuid(headers.get("org")),
            deadline_ms=_integer(headers.get("deadline")),
            attempt=_integer(headers.get("attempt")) or 1,
            cause=_uuid(headers.get("cause")),
            traceparent=_text(headers.get("traceparent", "")),
            blob=blob,
            is_redelivered=delivery.redelivered,
            is_replayed=REPLAYED_BY in headers,
        )
    except (msgspec.MsgspecError, ValueError, TypeError) as exc:
        raise Rejected("malformed", str(exc)) from exc
    return message, context


def label_of(delivery: Delivery) -> str:
    """The type as a metric's label: never what a stranger made up."""
    return delivery.type if REGISTRY.by_name(delivery.type) else "unknown"


_decoders: dict[type[Message], msgspec.json.Decoder[Message]] = {}


def decode_struct(struct: type[Message], raw: bytes | msgspec.Raw) -> Message:
    """Decode with the decoder of the type, built once. Raises `msgspec.MsgspecError`."""
    decoder = _decoders.get(struct)
    if decoder is None:
        decoder = _decoders[struct] = msgspec.json.Decoder(struct)
    return decoder.decode(raw)


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode()
    if isinstance(value, str):
        return value
    raise TypeError(f"expected text, got {type(value).__name__}")


def _uuid(value: object) -> uuid.UUID | None:
    return None if value is None else uuid.UUID(_text(value))


def _integer(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"expected an integer, got {type(value).__name__}")
