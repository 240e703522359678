"""Mails to organizations on Postgres. All SQL is in `creator_mails.sql`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from email import message_from_bytes
from email.utils import parseaddr
from typing import Final

from libs.common.db.pool import Database, Tx
from libs.common.db.queries import load_queries
from services.takedowns.domain.creator_mail import ANSWERS, Addressee, Happening
from services.takedowns.domain.notice_mail import Envelope

QUERIES: Final = load_queries(__package__, "creator_mails.sql")


class PostgresCreatorMailTx:
    """The port `CreatorMailTx`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def take(self, creator_id: int, *, now: datetime) -> Sequence[Happening]:
        rows = [
            *await self._tx.fetch(QUERIES.tell_actions, creator_id, now),
            *await self._tx.fetch(QUERIES.tell_answers, creator_id, now, list(ANSWERS)),
        ]
        return [
            Happening(kind=row["kind"], host=row["host"], notice_id=row["notice_id"], is_sandbox=row["is_sandbox"])
            for row in rows
        ]

    async def add(
        self, mail_id: uuid.UUID, addressee: Addressee, envelope: Envelope, *, status: str, now: datetime
    ) -> None:
        await self._tx.execute(
            QUERIES.add_creator_mail, mail_id, addressee.org_id, addressee.creator_id, envelope.recipient, status,
            envelope.raw, now,
        )  # fmt: skip


class PostgresCreatorMails:
    """The port `CreatorMails`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresCreatorMailTx]:
        async with self._db.transaction() as tx:
            yield PostgresCreatorMailTx(tx)

    async def untold(self, *, before: datetime, quiet_since: datetime, limit: int) -> Sequence[Addressee]:
        rows = await self._db.fetch(QUERIES.untold_creators, before, quiet_since, list(ANSWERS), limit)
        return [
            Addressee(creator_id=row["id"], org_id=row["org_id"], stage_name=row["stage_name"], address=row["address"])
            for row in rows
        ]

    async def claim(self, *, now: datetime, until: datetime) -> tuple[uuid.UUID, int, Envelope] | None:
        row = await self._db.fetchrow(QUERIES.claim_creator_mail, now, until)
        if row is None:
            return None
        _, sender = parseaddr(message_from_bytes(row["raw"])["From"])
        return row["id"], row["tries"], Envelope(sender=sender, recipient=row["to_addr"], raw=row["raw"])

    async def settle(
        self, mail_id: uuid.UUID, status: str, *, now: datetime, due_at: datetime | None = None, code: int | None = None
    ) -> None:
        await self._db.execute(QUERIES.settle_creator_mail, mail_id, status, due_at, code, now)

    async def give_up_lost(self, *, now: datetime) -> None:
        await self._db.execute(QUERIES.give_up_lost_creator_mails, now)
