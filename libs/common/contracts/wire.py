"""From a message's struct to what is published: type, routing key, headers, body. Pure; the bus and the outbox share it."""

import uuid
import zlib
from typing import Any, Final, Protocol

import msgspec

from libs.common.contracts.envelope import LEDGER_SHARDS, Kind, Message
from libs.common.contracts.registry import REGISTRY
from libs.common.ids import uuid7

COMMANDS: Final = "commands"  # exchange of rpcs and jobs
EVENTS: Final = "events"  # exchange of events


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready for an exchange. Also the shape of an outbox row."""

    message_id: uuid.UUID
    type: str
    exchange: str
    routing_key: str
    headers: dict[str, Any]  # org, cause, traceparent, attempt: strings and integers only
    body: bytes


class Publisher(Protocol):
    """Whoever puts messages on the bus."""

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        """Return when the broker has confirmed. Raises `Refused` (certainly not taken: no queue, queue full, not
        connected) or `Unconfirmed` (nobody knows). Publishing the same message again is always safe for jobs and events.
        """
        ...


def shard_of(org_id: uuid.UUID) -> int:
    """The money shard of an organization, 0 to 15: one organization's money always takes one queue."""
    return zlib.crc32(org_id.bytes) % LEDGER_SHARDS


def encode(
    body: Message,
    *,
    org_id: uuid.UUID | None = None,
    message_id: uuid.UUID | None = None,
    cause: uuid.UUID | None = None,
    traceparent: str = "",
) -> Outgoing:
    """Wrap `body` for the bus. `org_id` names the organization (of a money message, one of its shard).

    Raises ValueError when the body is larger than its type allows, KeyError for an unregistered struct.
    """
    entry = REGISTRY.of(type(body))
    raw = msgspec.json.encode(body)
    if len(raw) > entry.body_bytes_max:
        raise ValueError(f"{entry.name}: body of {len(raw)} bytes, at most {entry.body_bytes_max} are allowed")
    headers: dict[str, Any] = {"attempt": 1}
    if org_id is not None:
        headers["org"] = str(org_id)
    if cause is not None:
        headers["cause"] = str(cause)
    if traceparent:
        headers["traceparent"] = traceparent
    routing_key = entry.name
    if entry.sharded:
        if org_id is None:
            raise ValueError(f"{entry.name}: a money message needs its organization")
        routing_key = f"{entry.name}.s{shard_of(org_id):02d}"
    return Outgoing(
        message_id=message_id or uuid7(),
        type=entry.name,
        exchange=EVENTS if entry.kind is Kind.EVENT else COMMANDS,
        routing_key=routing_key,
        headers=headers,
        body=raw,
    )
