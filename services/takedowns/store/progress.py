"""URLs under way, on Postgres: what is due, for one process at a time. What changes them is in `url_moves.py` and its neighbours."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

from libs.common.contracts.takedowns import SendNotice
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record
from services.takedowns.domain.fingerprint import Fingerprint
from services.takedowns.domain.follow_up import Watched
from services.takedowns.domain.host import Entry
from services.takedowns.domain.progress_ports import DueLook, DueUrl, HostRow, UrlRef
from services.takedowns.domain.states import Category, Stage, State
from services.takedowns.domain.verdict import Checked, Verdict
from services.takedowns.store.host_rows import all_entries, claim_host, hosts_to_resolve
from services.takedowns.store.notice_rows import QUERIES as NOTICES
from services.takedowns.store.notice_rows import NoticeRows
from services.takedowns.store.url_moves import QUERIES, columns


class PostgresProgress:
    """The port `Progress`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[NoticeRows]:
        async with self._db.transaction() as tx:
            yield NoticeRows(tx, self._outbox)

    async def claim_urls(
        self, states: Collection[State], *, now: datetime, until: datetime, limit: int
    ) -> Sequence[DueUrl]:
        rows = await self._db.fetch(QUERIES.claim_urls, now, until, list(states), limit)
        return [
            DueUrl(
                ref=UrlRef(row["creator_id"], row["id"]),
                creator=row["public_id"],
                org_id=row["org_id"],
                url=row["url"],
                host_id=row["host_id"],
                state=State(row["state"]),
                stage=row["stage"],
                category=Category(row["category"]),
                was_delivered=row["first_notice_at"] is not None,
                is_sandbox=row["is_sandbox"],
                is_deleted=row["is_deleted"],
            )
            for row in rows
        ]

    async def claim_looks(
        self, states: Collection[State], *, now: datetime, until: datetime, limit: int
    ) -> Sequence[DueLook]:
        return [_due_look(row) for row in await self._db.fetch(QUERIES.claim_looks, now, until, list(states), limit)]

    async def claim_notices(self, *, now: datetime, until: datetime, limit: int) -> Sequence[uuid.UUID]:
        async with self._db.transaction() as tx:
            ids = [row["id"] for row in await tx.fetch(NOTICES.claim_notices, now, until, limit)]
            for notice_id in ids:
                await self._outbox.add(tx, SendNotice(notice_id=notice_id))
        return ids

    async def lost_sendings(self, *, now: datetime, limit: int) -> Sequence[uuid.UUID]:
        return [row["id"] for row in await self._db.fetch(NOTICES.lost_sendings, now, limit)]

    async def hosts_to_resolve(self, *, now: datetime, limit: int) -> Sequence[int]:
        return await hosts_to_resolve(self._db, now=now, limit=limit)

    async def claim_host(self, host_id: int, *, now: datetime, until: datetime) -> HostRow | None:
        return await claim_host(self._db, host_id, now=now, until=until)

    async def count_failures(self, refs: Collection[UrlRef], *, now: datetime) -> dict[UrlRef, int]:
        rows = await self._db.fetch(QUERIES.count_failures, *columns(refs), now)
        return {UrlRef(row["creator_id"], row["url_id"]): row["tries"] for row in rows}

    async def directory(self) -> Sequence[Entry]:
        return await all_entries(self._db)


def _due_look(row: Record) -> DueLook:
    history = [
        Checked(at=at, verdict=Verdict(verdict))
        for at, verdict in zip(row["looked_at"] or (), row["verdicts"] or (), strict=True)
    ]
    simhash = row["first_simhash"]
    return DueLook(
        ref=UrlRef(row["creator_id"], row["id"]),
        url=row["url"],
        host_id=row["host_id"],
        host=row["host"],
        watched=Watched(
            state=State(row["state"]),
            stage=Stage(min(row["stage"], Stage.SEARCH)),
            sent_at=row["sent_at"],
            removed_at=row["removed_at"],
            escalate_after_h=row["escalate_after_h"],
            history=history,
        ),
        first=None if simhash is None else Fingerprint("", simhash % (1 << 64)),
        removed_markers=tuple(row["removed_markers"] or ()),
        live_markers=tuple(row["live_markers"] or ()),
    )
