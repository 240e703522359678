"""A running system on servers that can be broken, and what its books and rows say of submissions: they must agree."""

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from tests.support.faults.servers import FaultServers, fault_servers
from tests.support.stack import Organization, Stack, a_stack

SETTLED_S_MAX: Final = 240.0
LOOK_S: Final = 0.1

BOOKS: Final = """SELECT (coalesce(sum(amount) FILTER (WHERE code = 11), 0) - coalesce(sum(amount) FILTER (WHERE code = 20), 0))::bigint
                    FROM billing.transfers WHERE org_id = $1"""
PAID: Final = """SELECT count(*) FROM takedowns.urls u JOIN takedowns.creators c ON c.id = u.creator_id
                  WHERE c.org_id = $1 AND u.refunded_at IS NULL"""
OVER: Final = """SELECT count(*) FROM (
            SELECT d.id, sum(d.amount) AS took, (SELECT coalesce(sum(r.amount), 0) FROM billing.transfers r
                     WHERE r.refunds_id = d.id AND r.code = 20) AS gave
              FROM billing.transfers d WHERE d.code = 11 AND d.org_id = $1 GROUP BY d.id) b WHERE gave > took"""
LEASED: Final = "SELECT count(*) FROM billing.leases WHERE org_id = $1 AND holder = 2 AND state < 3"
STORED_FOR: Final = """SELECT count(*) FROM takedowns.urls u JOIN takedowns.creators c ON c.id = u.creator_id
                        WHERE c.public_id = ANY($1)"""
UNDER_WAY: Final = """SELECT (SELECT count(*) FROM takedowns.batches WHERE status = 'leasing')
                    + (SELECT count(*) FROM takedowns.batch_refunds WHERE sent_at IS NULL)
                    + (SELECT count(*) FROM takedowns.urls u JOIN takedowns.creators c ON c.id = u.creator_id
                        WHERE c.deleted_at IS NOT NULL AND u.refunded_at IS NULL AND u.first_notice_at IS NULL AND u.state IN (1, 2, 3, 6))
                    + (SELECT count(*) FROM takedowns.outbox) + (SELECT count(*) FROM billing.outbox)"""
# Two minutes are over: batches that ended half-way are the sweeper's, refunds have gathered.
LATER: Final = """UPDATE takedowns.batches SET created_at = created_at - interval '3 min' WHERE status = 'leasing';
           UPDATE takedowns.batch_refunds SET opened_at = opened_at - interval '1 min' WHERE sent_at IS NULL"""


@dataclass
class System:
    """A running system, its servers, and one organization in it."""

    stack: Stack
    servers: FaultServers
    organization: Organization

    @property
    def org_id(self) -> uuid.UUID:
        return uuid.UUID(self.organization.org_id)

    async def sql(self, query: str, *args: Any) -> Any:
        """One figure from the database itself, not over the wire that breaks."""
        dsn = self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"]
        connection = await asyncpg.connect(
            dsn.replace(f":{self.servers.postgres_wire.port}/", f":{self.servers.postgres.port}/")
        )
        try:
            return await (
                connection.fetchval(query, *args) if args or query.startswith("SELECT") else connection.execute(query)
            )
        finally:
            await connection.close()

    async def settled(self, *org_ids: uuid.UUID) -> None:
        """Return when everything that was under way has ended, one way or the other, and the ledger holds what is paid for by these
        organizations (none named: the system's own). A difference that stays raises TimeoutError.
        """
        await self.stack.until_ready()
        async with asyncio.timeout(SETTLED_S_MAX):
            while await self.sql(UNDER_WAY):
                await self.sql(LATER)
                await asyncio.sleep(LOOK_S)
            for org_id in org_ids or (self.org_id,):
                while await self.sql(BOOKS, org_id) != await self.sql(PAID, org_id):
                    await asyncio.sleep(LOOK_S)  # what was published a moment ago is posted in the next


@contextlib.asynccontextmanager
async def a_breakable_system(run: Path, *, credits_: int, launcher: str = "deploy.local") -> AsyncIterator[System]:
    """The whole system in `run`, on servers of its own; its organization has `credits_`. Nothing is left afterwards."""
    try:
        async with (
            fault_servers(run) as servers,
            a_stack(run / "stack", launcher=launcher, **servers.settings()) as stack,
        ):
            yield System(stack, servers, await stack.an_organization(credits=credits_))
    finally:
        shutil.rmtree(run, ignore_errors=True)
