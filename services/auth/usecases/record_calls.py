"""What edges counted: who called what, when, in which version."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.edge import CallsCounted
from services.auth.domain.ports import CallRecords

KEPT: Final = timedelta(days=90)  # how long single calls can be read


@dataclass(frozen=True, slots=True)
class RecordCalls:
    """Store what an edge counted, once however often the message comes (R138)."""

    records: CallRecords
    clock: Clock

    async def __call__(self, message: CallsCounted, message_id: uuid.UUID) -> None:
        await self.records.record(message, message_id)

    async def forget(self) -> int:
        """Drop single calls older than `KEPT`; how many."""
        return await self.records.forget(self.clock.now() - KEPT)
