"""The port `CallRecords` in memory."""

import uuid
from datetime import UTC, datetime

from libs.common.contracts.edge import CallsCounted, KeyCall
from libs.common.contracts.personal_keys import CallSeen


class MemoryCallRecords:
    """Single calls only: the sums by version are the operator's, and no port."""

    def __init__(self) -> None:
        self.calls: list[KeyCall] = []
        self._seen: set[uuid.UUID] = set()

    async def record(self, message: CallsCounted, message_id: uuid.UUID) -> None:
        if message_id not in self._seen:
            self._seen.add(message_id)
            self.calls.extend(message.calls)

    async def page(
        self, org_id: uuid.UUID, key_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
    ) -> list[CallSeen]:
        found = [
            CallSeen(
                call_id=each.call_id,
                at=datetime.fromtimestamp(each.at_ms / 1_000, UTC),
                method=each.method,
                path=each.path,
                version=each.version,
                status=each.status,
            )
            for each in self.calls
            if (each.org_id, each.key_id) == (org_id, key_id) and (before is None or each.call_id < before)
        ]
        return sorted(found, key=lambda each: each.call_id, reverse=True)[:limit]

    async def forget(self, before: datetime) -> int:
        old = [each for each in self.calls if each.at_ms < before.timestamp() * 1_000]
        self.calls = [each for each in self.calls if each not in old]
        return len(old)
