"""Calls as edges counted them."""

import uuid
from datetime import datetime

import msgspec


class VersionCalls(msgspec.Struct, frozen=True, kw_only=True):
    """How often a key called in a version, on one surface: whom the end of the version hurts."""

    version: str
    surface: str
    org_id: uuid.UUID
    org_name: str
    key_id: uuid.UUID
    label: str
    start: str
    calls: int
    last_at: datetime
