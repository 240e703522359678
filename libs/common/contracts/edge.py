"""Messages that `edge` owns: what was used, what must be undone, and who called."""

import uuid

import msgspec

from libs.common.contracts.envelope import Message

USAGE_RECORDS_MAX = 256  # records of one message
CALLS_COUNTED_MAX = 2_000  # entries of one message, counts and single calls together


class Usage(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One call that a client is about to be shown as 2xx. `id` is the call's id and becomes the transfer's id."""

    id: uuid.UUID
    org_id: uuid.UUID
    lease_id: uuid.UUID
    cost: int
    key_id: uuid.UUID
    model_id: uuid.UUID
    route: str


class UsageRecorded(Message, frozen=True, kw_only=True):
    """1 to 256 calls of organizations of one shard."""

    records: tuple[Usage, ...]


class UsageVoided(Message, frozen=True, kw_only=True):
    """These calls were not shown as 2xx after all: their debits, posted or still to come, are undone."""

    org_id: uuid.UUID
    ids: tuple[uuid.UUID, ...]


class KeyCalls(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How often a key called on one surface in one version, within a few seconds of one UTC day."""

    org_id: uuid.UUID
    key_id: uuid.UUID
    surface: str
    version: str  # empty: none that there is
    calls: int
    last_at_ms: int


class KeyCall(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One call of a user's key: what its owner and an audit may read of it. `path` is the route's template."""

    call_id: uuid.UUID
    org_id: uuid.UUID
    key_id: uuid.UUID
    at_ms: int
    method: str
    path: str
    version: str
    status: int


class CallsCounted(Message, frozen=True, kw_only=True):
    """What one edge saw since it last told. Nothing is charged by it."""

    counts: tuple[KeyCalls, ...]
    calls: tuple[KeyCall, ...] = ()
