"""Models and links as users see them: reads of the truth, without secrets."""

import uuid
from datetime import datetime
from typing import Final

from libs.common.contracts.models import ModelShown
from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from services.sessions.domain.link import Link, LinkView
from services.sessions.domain.model import State

QUERIES: Final = load_queries(__package__)


class PostgresModelViews:
    """The port `ModelViews`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def show(self, org_id: uuid.UUID, model_id: uuid.UUID, *, provider: str = "") -> ModelShown | None:
        row = await self._db.fetchrow(QUERIES.show_model, model_id, org_id, provider)
        return None if row is None else _shown(row)

    async def page(
        self,
        org_id: uuid.UUID,
        *,
        limit: int,
        after: uuid.UUID | None,
        provider: str = "",
        only: uuid.UUID | None = None,
    ) -> list[ModelShown]:
        rows = await self._db.fetch(QUERIES.page_models, org_id, after, provider, limit, only)
        return [_shown(row) for row in rows]

    async def find_link(self, digest: bytes, now: datetime) -> LinkView | None:
        return await self._link(digest, now, None)

    async def find_consent(self, consent: bytes, now: datetime) -> LinkView | None:
        return await self._link(None, now, consent)

    async def _link(self, digest: bytes | None, now: datetime, consent: bytes | None) -> LinkView | None:
        row = await self._db.fetchrow(QUERIES.find_link, digest, now, consent)
        if row is None:
            return None
        return LinkView(
            link=Link(row["digest"], row["org_id"], row["model_id"], row["expires_at"]),
            label=row["label"],
            provider=row["provider"],
            state=State(row["state"]),
            reason=row["problem"] or row["reason"],
            has_credentials=row["has_credentials"],
            is_used=row["used_at"] is not None,
        )


def _shown(row: Record) -> ModelShown:
    return ModelShown(
        model_id=row["model_id"],
        provider=row["provider"],
        label=row["label"],
        state=row["state"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        account=row["account"],
        reason=row["reason"],
        session_ends_at=row["session_ends_at"],
        version=row["version"],
    )
