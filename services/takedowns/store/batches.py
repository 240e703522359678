"""Batches, looked at, on Postgres. All SQL is in `batches.sql`."""

import uuid
from collections.abc import Sequence
from typing import Final

from libs.common.contracts.takedowns import BatchAnswer, BatchShown, InvalidUrls
from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from services.takedowns.domain.states import State

QUERIES: Final = load_queries(__package__, "batches.sql")


class PostgresBatches:
    """The port `Batches`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, org_id: uuid.UUID, *, limit: int, after: uuid.UUID | None) -> Sequence[BatchShown]:
        return [_shown(row) for row in await self._db.fetch(QUERIES.list_batches, org_id, limit, after)]

    async def show(self, org_id: uuid.UUID, batch_id: uuid.UUID) -> BatchAnswer | None:
        row = await self._db.fetchrow(QUERIES.find_batch, org_id, batch_id)
        if row is None:
            return None
        invalid = await self._db.fetch(QUERIES.list_invalid, batch_id)
        states = await self._db.fetch(QUERIES.count_states, batch_id)
        return BatchAnswer(
            batch=_shown(row),
            invalid=tuple(
                InvalidUrls(reason=each["reason"], n=each["n"], samples=tuple(each["samples"])) for each in invalid
            ),
            states={State(each["state"]).word: each["n"] for each in states},
        )


def _shown(row: Record) -> BatchShown:
    facts = dict(row.items())
    return BatchShown(batch_id=facts.pop("id"), **facts)
