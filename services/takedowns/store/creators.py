"""Creators on Postgres. All SQL is in `creators.sql`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final

from libs.common.contracts.creators import CreatorStats, OfficialLink
from libs.common.contracts.envelope import Message
from libs.common.db.errors import UniqueViolation
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from services.takedowns.domain.creator import Creator, handle_key
from services.takedowns.domain.errors import EmailTaken

QUERIES: Final = load_queries(__package__, "creators.sql")
_LIKE_SPECIAL: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


class PostgresCreators:
    """The port `Creators`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    @contextlib.asynccontextmanager
    async def exclusive(self, org_id: uuid.UUID) -> AsyncIterator["PostgresCreatorsTx"]:
        async with self._db.transaction() as tx:
            await tx.execute(QUERIES.lock_creators, org_id)
            yield PostgresCreatorsTx(tx, self._outbox, org_id)

    async def find(self, org_id: uuid.UUID, public_id: uuid.UUID) -> Creator | None:
        row = await self._db.fetchrow(QUERIES.find_creator, org_id, public_id)
        return None if row is None else _creator(row)

    async def page(self, org_id: uuid.UUID, *, limit: int, offset: int) -> tuple[Sequence[Creator], int]:
        total: int = await self._db.fetchval(QUERIES.count_creators, org_id)
        if offset >= total:
            return (), total
        return [_creator(row) for row in await self._db.fetch(QUERIES.list_creators, org_id, limit, offset)], total

    async def associated(self, creator: Creator) -> tuple[int, int]:
        row = await self._db.fetchrow(QUERIES.count_associated, creator.id)
        assert row is not None
        return row["urls"], row["takedowns"]

    async def stats(self, org_id: uuid.UUID, *, search: str) -> Sequence[CreatorStats]:
        pattern = f"%{search.translate(_LIKE_SPECIAL)}%"
        return [
            CreatorStats(
                creator_id=row["public_id"],
                stage_name=row["stage_name"],
                total_urls=row["total"],
                new_urls=row["new"],
                duplicate_urls=row["duplicate"],
                invalid_urls=row["invalid"],
            )
            for row in await self._db.fetch(QUERIES.list_stats, org_id, pattern)
        ]

    async def purge(self, *, deleted_before: datetime, limit: int) -> int:
        return int((await self._db.execute(QUERIES.purge_creators, deleted_before, limit)).rpartition(" ")[2])


class PostgresCreatorsTx:
    """The port `CreatorsTx`."""

    def __init__(self, tx: Tx, outbox: Outbox, org_id: uuid.UUID) -> None:
        self._tx = tx
        self._outbox = outbox
        self._org_id = org_id

    async def by_email(self, email_keys: Sequence[str]) -> dict[str, Creator]:
        rows = await self._tx.fetch(QUERIES.find_by_email, self._org_id, list(email_keys))
        return {row["email_key"]: _creator(row) for row in rows}

    async def find(self, public_id: uuid.UUID) -> Creator | None:
        row = await self._tx.fetchrow(QUERIES.find_creator, self._org_id, public_id)
        return None if row is None else _creator(row)

    async def add(self, creators: Sequence[Creator]) -> None:
        if not creators:
            return
        columns = _columns(
            (c.public_id, c.is_sandbox, c.stage_name, c.email, c.email_key, c.legal_name, c.notification_email, c.notes)
            for c in creators
        )
        with _one_address_one_creator():
            rows = await self._tx.fetch(QUERIES.add_creators, self._org_id, *columns)
        ids = {row["public_id"]: row["id"] for row in rows}
        await self._add_links([(ids[creator.public_id], creator.links) for creator in creators])

    async def update(self, creators: Sequence[Creator]) -> None:
        if not creators:
            return
        columns = _columns(
            (c.id, c.stage_name, c.email, c.email_key, c.legal_name, c.notification_email, c.notes) for c in creators
        )
        with _one_address_one_creator():
            await self._tx.execute(QUERIES.update_creators, self._org_id, *columns)
        await self._tx.execute(QUERIES.drop_links, [creator.id for creator in creators])
        await self._add_links([(creator.id, creator.links) for creator in creators])

    async def delete(self, creator: Creator) -> None:
        await self._tx.execute(QUERIES.delete_creator, creator.id)

    async def tell(self, message: Message) -> None:
        await self._outbox.add(self._tx, message, org_id=self._org_id)

    async def _add_links(self, links: Sequence[tuple[int, Sequence[OfficialLink]]]) -> None:
        rows = [
            (id_, link.platform, link.handle, handle_key(link.handle), at)
            for id_, own in links
            for at, link in enumerate(own)
        ]
        await self._tx.execute(QUERIES.add_links, *_columns(rows))


def _columns(rows: Iterator[tuple[object, ...]] | Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


@contextlib.contextmanager
def _one_address_one_creator() -> Iterator[None]:
    try:
        yield
    except UniqueViolation as exc:
        if exc.constraint != "creators_email_once":
            raise
        raise EmailTaken(detail=exc.constraint) from exc


def _creator(row: Record) -> Creator:
    return Creator(
        public_id=row["public_id"],
        org_id=row["org_id"],
        stage_name=row["stage_name"],
        email=row["email"],
        email_key=row["email_key"],
        links=tuple(
            OfficialLink(platform, handle)
            for platform, handle in zip(row["platforms"] or (), row["handles"] or (), strict=True)
        ),
        legal_name=row["legal_name"],
        notification_email=row["notification_email"],
        notes=row["notes"],
        is_sandbox=row["is_sandbox"],
        id=row["id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
