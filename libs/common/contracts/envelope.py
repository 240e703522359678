"""What travels beside a message's body, and the declaration of a message type.

Pure data: how it is put on the wire is `libs/common/bus`'s business.
"""

import enum
import uuid
from typing import Any, Final

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root of every body on the bus. Within a version only optional fields with defaults are added; readers ignore
    fields they do not know.
    """


class Kind(enum.StrEnum):
    """What a message promises (docs/architecture.md, "The bus")."""

    RPC = "rpc"  # answered at most once before an absolute deadline
    JOB = "job"  # at least once, effect once
    EVENT = "event"  # at least once, effect once


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of one message, as a handler sees it."""

    message_id: uuid.UUID
    type: str
    sender: str
    org_id: uuid.UUID | None = None
    deadline_ms: int | None = None  # Unix milliseconds; absolute
    attempt: int = 1
    cause: uuid.UUID | None = None
    traceparent: str = ""
    blob: bytes = b""
    is_redelivered: bool = False  # the broker gave it to somebody before, who did not settle it
    is_replayed: bool = False  # an operator took it from the dead letters


class RpcFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The error half of an rpc's reply. `fields` are facts for the answer (`required`, `balance`), never secrets."""

    code: str
    message: str = ""
    fields: dict[str, Any] = {}


LEDGER_SHARDS: Final = 16
LEDGER_QUEUES: Final = 2  # each takes the same number of neighbouring shards
