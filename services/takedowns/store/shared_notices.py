"""Copies for the public, and who chose them, on Postgres. All SQL is in `shared_notices.sql`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from libs.common.contracts.creators import OfficialLink
from libs.common.db.pool import Database, Tx
from libs.common.db.queries import load_queries
from services.takedowns.domain.public_copy import SentNotice

QUERIES: Final = load_queries(__package__, "shared_notices.sql")


class PostgresSharedTx:
    """The port `SharedTx`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def claim(self, *, now: datetime, until: datetime) -> SentNotice | None:
        await self._tx.execute(QUERIES.withdraw_unwanted, now)
        claimed = await self._tx.fetchrow(QUERIES.claim_copy, now, until)
        if claimed is None:
            return None
        row = await self._tx.fetchrow(QUERIES.show_sent, claimed["notice_id"])
        assert row is not None, "notices are never deleted"
        return SentNotice(
            id=row["id"],
            host=row["host"],
            stage_name=row["stage_name"],
            links=tuple(map(OfficialLink, row["platforms"] or (), row["handles"] or ())),
            urls=tuple(row["urls"]),
            language=row["language"],
            sent_at=row["sent_at"],
            tries=claimed["tries"],
        )


class PostgresSharedNotices:
    """The port `SharedNotices`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresSharedTx]:
        async with self._db.transaction() as tx:
            yield PostgresSharedTx(tx)

    async def wants(self, org_id: uuid.UUID) -> bool:
        return bool(await self._db.fetchval(QUERIES.wants, org_id))

    async def choose(self, org_id: uuid.UUID, *, lumen: bool, by: str, now: datetime) -> None:
        await self._db.execute(QUERIES.choose, org_id, lumen, now, by)

    async def settle(
        self, notice_id: uuid.UUID, status: str, *, now: datetime, due_at: datetime | None = None, lumen_id: str = ""
    ) -> None:
        await self._db.execute(QUERIES.settle_copy, notice_id, status, due_at, lumen_id, now)

    async def give_up_lost(self, *, now: datetime) -> Sequence[uuid.UUID]:
        return [row["notice_id"] for row in await self._db.fetch(QUERIES.give_up_lost, now)]
