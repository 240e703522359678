"""Calls as edges told of them, on Postgres. The SQL is in `queries.sql`."""

import uuid
from datetime import UTC, date, datetime

from libs.common.contracts.edge import CallsCounted, KeyCalls
from libs.common.contracts.personal_keys import CallSeen
from libs.common.db.pool import Database
from libs.common.db.tx import accept_once
from services.auth.domain.call import VersionCalls
from services.auth.store.postgres import CONSUMER, QUERIES


class PostgresCallRecords:
    """The port `CallRecords`, and what the operator asks beyond it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, message: CallsCounted, message_id: uuid.UUID) -> None:
        async with self._db.transaction() as tx:
            if not await accept_once(tx, CONSUMER, message_id):
                return
            # In one order everywhere: two messages at once wait for each other, and never in a circle.
            counts = sorted(message.counts, key=lambda each: (each.org_id, each.key_id, each.last_at_ms))
            last: dict[uuid.UUID, KeyCalls] = {each.key_id: each for each in counts}
            await tx.execute(
                QUERIES.touch_keys,
                [each.org_id for each in last.values()],
                list(last),
                [_at(each.last_at_ms) for each in last.values()],
            )
            await tx.execute(
                QUERIES.count_version_calls,
                [_at(each.last_at_ms).date() for each in counts],
                [each.org_id for each in counts],
                [each.key_id for each in counts],
                [each.surface for each in counts],
                [each.version for each in counts],
                [each.calls for each in counts],
                [_at(each.last_at_ms) for each in counts],
            )
            calls = message.calls
            await tx.execute(
                QUERIES.add_calls,
                [each.call_id for each in calls],
                [each.org_id for each in calls],
                [each.key_id for each in calls],
                [_at(each.at_ms) for each in calls],
                [each.method for each in calls],
                [each.path for each in calls],
                [each.version for each in calls],
                [each.status for each in calls],
            )

    async def page(
        self, org_id: uuid.UUID, key_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
    ) -> list[CallSeen]:
        rows = await self._db.fetch(QUERIES.page_calls, org_id, key_id, limit, before)
        return [CallSeen(**dict(row.items())) for row in rows]

    async def forget(self, before: datetime) -> int:
        return len(await self._db.fetch(QUERIES.forget_calls, before))

    async def by_version(self, since: date, version: str | None) -> list[VersionCalls]:
        """Who called in which version (or in this one) since a day, the busiest first. For the operator only."""
        rows = await self._db.fetch(QUERIES.list_version_calls, since, version)
        return [VersionCalls(**dict(row.items())) for row in rows]


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC)
