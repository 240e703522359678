"""What edges counted: who called what, when, in which version."""

import uuid
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.edge import CallsCounted
from services.auth.domain.ports import CallRecords
from services.auth.domain.retention import SINGLE_CALLS


@dataclass(frozen=True, slots=True)
class RecordCalls:
    """Store what an edge counted, once however often the message comes (R138)."""

    records: CallRecords
    clock: Clock

    async def __call__(self, message: CallsCounted, message_id: uuid.UUID) -> None:
        await self.records.record(message, message_id)

    async def forget(self) -> int:
        """Drop single calls over their time; how many."""
        return await self.records.forget(self.clock.now() - SINGLE_CALLS)
