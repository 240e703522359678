"""Forgetting, on Postgres: in portions, so that no transaction is long. The SQL is in `queries.sql`."""

from datetime import datetime
from typing import Final

from libs.common.db.pool import Database
from services.auth.domain.retention import INVITATIONS, REMOVED_USERS, VERSION_CALLS
from services.auth.store.postgres import QUERIES

PORTION: Final = 10_000


async def forget_old(db: Database, now: datetime) -> int:
    """Forget a portion of what is over its time; how many rows, 0 when nothing is left to forget."""
    done = [
        await db.execute(QUERIES.forget_removed_users, now - REMOVED_USERS, PORTION),
        await db.execute(QUERIES.forget_invitations, now - INVITATIONS, PORTION),
        await db.execute(QUERIES.forget_version_calls, (now - VERSION_CALLS).date(), PORTION),
    ]
    return sum(int(each.rpartition(" ")[2]) for each in done)
