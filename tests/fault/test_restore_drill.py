"""The restore drill of docs/operations.md, on real servers: base backup and log archive under load, the server lost, everything
restored to a moment, `verify`, and business goes on. `make restore-drill` prints what it saw.
"""

import os
import sys
import time
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from deploy.local import postgres
from deploy.local.profile import RUN, write_private
from tests.support.faults.load import Load, Tenant
from tests.support.faults.money import Figures, Money
from tests.support.faults.servers import FaultServers, fault_servers
from tests.support.restore import ArchivedPostgres
from tests.support.rollout.system import RICH_CREDITS
from tests.support.stack import Stack, a_stack

CALLS = 60  # of each step, all at once

pytestmark = pytest.mark.timeout(600)


class Drill:
    """The servers, and what was true at the moment that is to come back."""

    def __init__(self, servers: FaultServers) -> None:
        assert isinstance(servers.postgres, ArchivedPostgres)
        self.servers, self.postgres = servers, servers.postgres
        self.database = ""
        self.keys_of_rings = ""
        self.head: dict[str, Any] = {}
        self.debits = 0

    async def seal(self) -> None:
        """What billing's timer does every minute."""
        await self.postgres.seal(self.database)

    async def transfers(self) -> int:
        connection = await asyncpg.connect(postgres.admin_dsn(self.postgres.port, self.database))
        try:
            return int(await connection.fetchval("SELECT count(*) FROM billing.transfers"))
        finally:
            await connection.close()

    async def until_disaster(self, run: Any) -> Tenant:
        """A day's business: backup, seals, the moment, and an hour that will be lost."""
        async with a_stack(run, **self.servers.settings()) as stack:
            self.database = stack.env["FANGATE_POSTGRES_DSN_BILLING"].rpartition("/")[2]
            tenant = Tenant(await stack.an_organization(plan="enterprise"), granted=RICH_CREDITS, is_scarce=False)
            load = Load(stack, [tenant], workers=1)
            await load.burst(CALLS)
            await self.postgres.back_up()
            await load.burst(CALLS)
            await stack.debits(tenant.organization, at_least=tenant.tally.paid_credits)
            await self.seal()
            await load.burst(CALLS)  # what no seal covers yet
            self.debits = await stack.debits(tenant.organization, at_least=tenant.tally.paid_credits)
            self.head = (await stack.cli("billing", "verify"))["total"]["seal_head"]
            self.moment, self.rows = await self.postgres.now(), await self.transfers()
            await load.burst(CALLS)
            await stack.debits(tenant.organization, at_least=tenant.tally.paid_credits)
            await self.seal()
            await self.postgres.archive_the_rest()
            self.keys_of_rings = (stack.folder / "secrets.json").read_text(encoding="utf-8")
            return tenant

    async def restore(self) -> float:
        """Steps 2 to 4 of the runbook; seconds until the new server took writes."""
        started = time.monotonic()
        await self.postgres.restore(self.moment)
        self.servers.postgres_wire.redirect(self.postgres.port)
        client = redis.asyncio.Redis.from_url(self.servers.redis.url)
        try:
            await client.flushall()  # counters of leases and auth versions that the restored database does not know
        finally:
            await client.aclose()
        return time.monotonic() - started


async def after(drill: Drill, stack: Stack, tenant: Tenant) -> Figures:
    """Business on the restored server; the books of that time alone."""
    load, money = Load(stack, [tenant], workers=1), Money(stack, [tenant])
    money._debited_of = {tenant.organization.org_id: drill.debits}
    money._paid_of[tenant.organization.org_id] = drill.debits
    tenant.fresh()
    tenant.sent.clear()
    await load.burst(
        1
    )  # the platform refuses the session of then, and a read signs in anew; a first write would be 424
    await load.burst(CALLS)
    assert set(tenant.tally.statuses) <= {200, 201}, tenant.tally
    figures = await money.check()
    figures.drift += await money.drift()
    return figures


async def test_the_ledger_is_restored_to_a_moment_and_verifies_to_its_last_seal() -> None:
    run = RUN / f"stack-{os.getpid()}-restore"
    async with fault_servers(RUN / f"faults-{os.getpid()}-restore", postgres_kind=ArchivedPostgres) as servers:
        drill = Drill(servers)
        await drill.postgres.archive()
        tenant = await drill.until_disaster(run)

        # when: the server is lost with everything on it, and the services are down
        seconds = await drill.restore()

        # then: the rows of the moment, no more and no less, and every seal of then
        assert await drill.transfers() == drill.rows
        write_private(run / "dev" / "secrets.json", drill.keys_of_rings)
        async with a_stack(run, **servers.settings()) as stack:
            kept = f"{drill.head['seal_no']}:{drill.head['chain']}"
            verdict = await stack.cli("billing", "verify", "--head", kept)
            assert verdict["result"] == "OK"
            assert verdict["head_kept_elsewhere"] == {"seal_no": drill.head["seal_no"], "matches": True}
            assert verdict["total"]["seal_head"]["sealed_rows"] >= drill.head["sealed_rows"] > 0
            assert drill.head["unsealed_rows"] >= CALLS
            # and customers go on with their keys, their models and what they had
            assert await after(drill, stack, tenant) == Figures()
            await drill.seal()
            assert (await stack.cli("billing", "verify", "--head", kept))["result"] == "OK"
        sys.stdout.write(
            f"restored to {drill.moment:%H:%M:%S.%f} in {seconds:.1f} s: {drill.rows} transfers, seal "
            f"{drill.head['seal_no']} covers {drill.head['sealed_rows']}, {drill.head['unsealed_rows']} after it; books agree\n"
        )
