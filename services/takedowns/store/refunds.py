"""Refunds on Postgres: URLs that end without a notice, and the refunds that gather per batch. All SQL is in `refunds.sql`."""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Final

from libs.common.contracts.takedowns import BatchRefunded, UrlChange, UrlChanged
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.queries import load_queries
from libs.common.ids import uuid7
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.states import REFUNDABLE, State

QUERIES: Final = load_queries(__package__, "refunds.sql")
CHANGES_MAX: Final = 100  # of one event


class PostgresRefunds:
    """The port `Refunds`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def refund(
        self, owner: UrlOwner, url_ids: Sequence[uuid.UUID], *, to: State, sources: Sequence[State], reason: str
    ) -> int:
        async with self._db.transaction() as tx:
            rows = await tx.fetch(QUERIES.refund_urls, owner.creator_id, list(url_ids), to, list(sources))
            if not rows:
                return 0
            previous = [row["previous"] for row in rows]
            await tx.execute(QUERIES.note_events, owner.creator_id, [row["id"] for row in rows], previous, to, reason)
            per_batch = sorted(Counter(row["batch_id"] for row in rows).items())
            batch_ids, counts = [id_ for id_, _ in per_batch], [n for _, n in per_batch]
            await tx.execute(QUERIES.gather_refunds, [uuid7() for _ in per_batch], batch_ids, counts)
            await tx.execute(QUERIES.count_refunds, batch_ids, counts)
            changes = [
                UrlChange(
                    id=row["id"],
                    creator_id=owner.public_id,
                    url=row["url"],
                    state=to.word,
                    previous=State(row["previous"]).word,
                    at=row["at"],
                )
                for row in rows
            ]
            for at in range(0, len(changes), CHANGES_MAX):
                event = UrlChanged(org_id=owner.org_id, changes=tuple(changes[at : at + CHANGES_MAX]))
                await self._outbox.add(tx, event, org_id=owner.org_id)
        return len(rows)

    async def send(self, *, older_s: float, limit: int) -> int:
        async with self._db.transaction() as tx:
            due = await tx.fetch(QUERIES.due_refunds, older_s, limit)
            if not due:
                return 0
            org_ids = {row["id"]: row["org_id"] for row in due}
            for row in await tx.fetch(QUERIES.send_refunds, list(org_ids)):
                org_id, batch_id = org_ids[row["id"]], row["batch_id"]
                memo = f"Refund for failed batch {batch_id}"
                refund = BatchRefunded(
                    org_id=org_id, refund_id=row["id"], batch_id=batch_id, amount=row["amount"], memo=memo
                )
                await self._outbox.add(tx, refund, org_id=org_id)
        return len(due)

    async def deleted_creator(self, org_id: uuid.UUID, public_id: uuid.UUID) -> UrlOwner | None:
        id_ = await self._db.fetchval(QUERIES.find_deleted, org_id, public_id)
        return None if id_ is None else UrlOwner(org_id, id_, public_id)

    async def refundable(self, owner: UrlOwner, *, limit: int) -> Sequence[uuid.UUID]:
        rows = await self._db.fetch(QUERIES.refundable_of, owner.creator_id, list(REFUNDABLE), limit)
        return [row["id"] for row in rows]

    async def is_under_way(self, owner: UrlOwner) -> bool:
        return bool(await self._db.fetchval(QUERIES.has_leasing, owner.creator_id, owner.org_id))

    async def stop(self, owner: UrlOwner) -> None:
        async with self._db.transaction() as tx:
            await tx.execute(QUERIES.stop_timers, owner.creator_id)
            await tx.execute(QUERIES.stop_notices, owner.creator_id)
