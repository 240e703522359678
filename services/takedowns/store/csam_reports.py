"""The queue of reports on Postgres. All SQL is in `csam_reports.sql`."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from libs.common.db.pool import Database
from libs.common.db.queries import load_queries
from services.takedowns.domain.csam_ports import CsamReport
from services.takedowns.domain.ports import UrlOwner

QUERIES: Final = load_queries(__package__, "csam_reports.sql")


class PostgresCsamReports:
    """The port `CsamReports`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self, report_id: uuid.UUID, org_id: uuid.UUID, key_id: uuid.UUID | None, urls: Sequence[str], *, now: datetime
    ) -> None:
        await self._db.execute(QUERIES.add_report, report_id, org_id, key_id, list(urls), now)

    async def under_way(self, org_id: uuid.UUID, keys: Collection[bytes]) -> dict[UrlOwner, list[uuid.UUID]]:
        found: defaultdict[UrlOwner, list[uuid.UUID]] = defaultdict(list)
        for row in await self._db.fetch(QUERIES.known_urls, org_id, list(keys)):
            found[UrlOwner(org_id, row["creator_id"], row["public_id"])].append(row["id"])
        return dict(found)

    async def withhold(self, owner: UrlOwner, url_ids: Sequence[uuid.UUID]) -> None:
        await self._db.execute(QUERIES.withhold_urls, owner.creator_id, list(url_ids))

    async def waiting(self, *, limit: int) -> Sequence[CsamReport]:
        return [CsamReport(**dict(row.items())) for row in await self._db.fetch(QUERIES.open_reports, limit)]

    async def show(self, report_id: uuid.UUID) -> CsamReport | None:
        row = await self._db.fetchrow(QUERIES.show_report, report_id)
        if row is None:
            return None
        facts = dict(row.items())
        urls = facts.pop("urls")
        return CsamReport(**facts, urls=None if urls is None else tuple(urls))

    async def close(self, report_id: uuid.UUID, *, by: str, authority: str, reference: str, now: datetime) -> bool:
        return await self._db.fetchval(QUERIES.close_report, report_id, now, by, authority, reference) is not None

    async def count_waiting(self) -> int:
        count: int = await self._db.fetchval(QUERIES.count_open)
        return count
