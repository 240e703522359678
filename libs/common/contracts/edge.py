"""Messages that `edge` owns: what was used, and what must be undone."""

import uuid

import msgspec

from libs.common.contracts.envelope import Message

USAGE_RECORDS_MAX = 256  # records of one message


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
