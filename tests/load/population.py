"""Many organizations at once: made by the services' own use cases on the system's database, for their command lines take a
process each. Every one has a plan, a key and a model on the sandbox; the running services do what follows.
"""

import asyncio
import uuid
from datetime import timedelta
from typing import Final

import asyncpg

from deploy.local.seed import DEMO_PASSWORD
from libs.common.clock import SystemClock
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.settings import load
from libs.common.worker import announce
from services.auth.app import use_cases
from services.auth.settings import AuthSettings
from services.auth.store.calls import PostgresCallRecords
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.usecases.issue_key import KeyOrder
from services.billing.cli import Commands
from services.billing.settings import CommandSettings
from services.sessions.domain.credentials import Credentials
from services.sessions.settings import SessionsSettings
from services.sessions.store.postgres import PostgresModels
from services.sessions.store.sealed import SealedRows
from services.sessions.usecases.connect_model import AskConnect
from tests.support.stack import Organization, Stack

AT_ONCE: Final = 8
CONNECT_SECONDS_MAX: Final = 300.0
LOOK_SECONDS: Final = 0.5


async def populate(stack: Stack, count: int, *, plan: str, credits: int) -> list[Organization]:  # noqa: A002
    """`count` organizations on `plan`, all connected, whose plans their keys' edges know of."""
    auth = load(AuthSettings, service="auth", environ=stack.env)
    billing = load(CommandSettings, service="billing", environ=stack.env)
    sessions = load(SessionsSettings, service="sessions", environ=stack.env)
    clock = SystemClock()
    pools = [
        await Database.connect(settings.postgres_dsn.reveal(), schema=name, name="population", size_max=AT_ONCE)
        for name, settings in (("auth", auth), ("billing", billing), ("sessions", sessions))
    ]
    outboxes = [Outbox() for _ in pools]
    accounts = PostgresAccounts(pools[0], outboxes[0])
    do = use_cases(accounts, PostgresKeyHolders(pools[0]), PostgresCallRecords(pools[0]), auth.pepper_ring(), clock)
    books = Commands(pools[1], outboxes[1], clock=clock, grace=timedelta(0))
    connect = AskConnect(PostgresModels(pools[2], outboxes[2], SealedRows(sessions.vault())))
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Organization:
        async with turns:
            org_id = uuid.uuid4()
            await do.create_organization(name=f"day {number}", org_id=org_id, is_sandbox=False, owner_email=None)
            issued = await do.issue_key(KeyOrder(org_id=org_id, role="owner", label="day"))
            await books._start(org_id, plan)
            login = Credentials(email=f"day-{org_id.hex[:12]}@sandbox.test", password=DEMO_PASSWORD)
            model = await connect(org_id, provider="sandbox", label="a creator", credentials=login)
            return Organization(
                org_id=str(org_id), key=issued.text, limited_key="", model_id=str(model.model_id), account="", credits=credits
            )  # fmt: skip

    try:
        made = await asyncio.gather(*(one(number) for number in range(count)))
        urls = {"auth": auth.amqp_url, "billing": billing.amqp_url, "sessions": sessions.amqp_url}
        for (name, url), db, outbox in zip(urls.items(), pools, outboxes, strict=True):
            await announce(db, outbox, url, service=name)
    finally:
        for db in pools:
            await db.close()
    await _until_all_can_call(stack, [uuid.UUID(each.org_id) for each in made])
    return list(made)


async def _until_all_can_call(stack: Stack, org_ids: list[uuid.UUID]) -> None:
    connection = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            while len(org_ids) > await connection.fetchval(
                "SELECT count(*) FROM auth.organizations o JOIN sessions.models m USING (org_id)"
                " WHERE o.org_id = ANY($1) AND o.subscription = 'active' AND m.state = 'connected'",
                org_ids,
            ):
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await connection.close()
