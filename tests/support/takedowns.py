"""Takedowns on real servers for tests, with a real billing beside it: without the bus, what it says is carried by hand."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.common.contracts.billing import CloseLease, GetBalance, OpenLease
from libs.common.contracts.creators import CreatorInput, OfficialLink, SubmitCreators
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.registry import REGISTRY
from libs.common.contracts.takedowns import ForgetCreator, SubmitUrls, UrlsSubmitted
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.errors import FangateError, RpcError
from libs.common.ids import uuid7
from services.takedowns.app import Stores, stores, use_cases
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.url import UrlReader
from services.takedowns.usecases import UseCases
from tests.support.billing import Billing, a_billing
from tests.support.servers import TestDatabase

LINKS = (OfficialLink("onlyfans", "examplecreator"), OfficialLink("fansly", "examplecreator"))
CONTEXT = Context(message_id=uuid.UUID(int=0), type="", sender="takedowns")


@dataclass
class BillingRpc:
    """Calls to billing that reach it at once; `failing` is raised instead, after the call had its effect if `is_late`."""

    billing: Billing
    failing: list[FangateError] = field(default_factory=list)
    is_late: bool = False
    leases: int = 0

    async def call(
        self, request: Message, *, org_id: uuid.UUID | None, deadline_ms: int, blob: bytes = b"", traceparent: str = ""
    ) -> tuple[Message, bytes]:
        del org_id, deadline_ms, blob, traceparent
        if self.failing and not self.is_late:
            raise self.failing.pop(0)
        handlers = self.billing.app.handlers
        try:
            if isinstance(request, OpenLease):
                self.leases += 1
                reply: Message = await handlers.lease(request, CONTEXT)
            else:
                assert isinstance(request, GetBalance)
                reply = await handlers.balance(request, CONTEXT)
        except FangateError as exc:
            raise RpcError(exc.code, exc.public, **exc.fields) from exc
        if self.failing:
            raise self.failing.pop(0)
        return reply, b""


@dataclass
class Takedowns:
    """The service in this process, one organization, and its billing."""

    db: Database
    on: Stores
    do: UseCases
    rpc: BillingRpc
    billing: Billing
    org_id: uuid.UUID
    on_job: Callable[[Message], Awaitable[None]] | None = None  # takes what `carry` finds, beside what is handled here

    async def creator(self, name: str = "ExampleCreator", *, org_id: uuid.UUID | None = None) -> uuid.UUID:
        """A new creator's id."""
        org_id = org_id or self.org_id
        said = CreatorInput(stage_name=name, email=f"{uuid.uuid4().hex}@example.com", official_links=LINKS)
        await self.do.register_creators(SubmitCreators(org_id=org_id, creators=(said,)))
        found: uuid.UUID = await self.db.fetchval(
            "SELECT public_id FROM creators WHERE org_id = $1 ORDER BY id DESC LIMIT 1", org_id
        )
        return found

    async def submit(
        self, *groups: tuple[uuid.UUID | str, Sequence[str]], batch_id: uuid.UUID | None = None, **options: Any
    ) -> UrlsSubmitted:
        """A submission of groups of (creator, URLs)."""
        marked = {"category": options.pop("category")} if "category" in options else {}
        body: dict[str, Any] = {
            "groups": [{"creator_id": str(id_), "urls": list(urls), **marked} for id_, urls in groups]
        }
        if "notes" in options:
            body["notes"] = options.pop("notes")
        request = SubmitUrls(org_id=options.pop("org_id", self.org_id), **options)
        return await self.do.submit_urls(request, msgspec.json.encode(body), batch_id or uuid7())

    async def owner(self, creator_id: uuid.UUID) -> UrlOwner:
        """A creator by both its names."""
        row = await self.db.fetchrow("SELECT id, org_id FROM creators WHERE public_id = $1", creator_id)
        assert row is not None
        return UrlOwner(row["org_id"], row["id"], creator_id)

    async def url_ids(self, creator_id: uuid.UUID) -> list[uuid.UUID]:
        """Ids of all URLs of a creator."""
        owner = await self.owner(creator_id)
        rows = await self.db.fetch("SELECT id FROM urls WHERE creator_id = $1 ORDER BY id", owner.creator_id)
        return [row["id"] for row in rows]

    async def carry(self) -> list[Message]:
        """Bring everything in the outbox to billing and to our own jobs, until there is nothing; answers what was said."""
        said: list[Message] = []
        while True:
            rows = await self.db.fetch("DELETE FROM outbox RETURNING id, type, body")
            if not rows:
                return said
            for row in sorted(rows, key=lambda row: int(row["id"])):
                entry = REGISTRY.by_name(row["type"])
                assert entry is not None
                message = msgspec.json.decode(row["body"], type=entry.struct)
                said.append(message)
                await self._deliver(message, is_money=entry.sharded)

    async def _deliver(self, message: Message, *, is_money: bool) -> None:
        if is_money:
            await self.billing.post(message)
        elif isinstance(message, CloseLease):
            await self.billing.app.handlers.close(message, CONTEXT)
        elif isinstance(message, ForgetCreator):
            await self.do.forget_creator(message)
        elif self.on_job is not None:
            await self.on_job(message)

    async def balance(self) -> int:
        """What the ledger says the organization has, everything carried."""
        await self.carry()
        return await self.billing.balance(self.org_id)

    async def leased(self) -> int:
        """What is still set aside, everything carried."""
        await self.carry()
        return await self.billing.leased(self.org_id)

    async def count(self, table: str) -> int:
        """Rows of a table."""
        count: int = await self.db.fetchval(f"SELECT count(*) FROM {table}")
        return count


@contextlib.asynccontextmanager
async def a_takedowns(database: TestDatabase, redis_url: str, *, credits_: int = 100_000) -> AsyncIterator[Takedowns]:
    """The service over a database of the test's own; its organization has `credits_`."""
    async with a_billing(database, redis_url) as billing:
        db = await Database.connect(database.dsn("takedowns"), schema="takedowns", name="test", size_max=20)
        try:
            on = stores(db, Outbox())
            rpc = BillingRpc(billing)
            do = use_cases(on, rpc, billing.clock, reader=UrlReader(["fangate.example.com"]), allows_test_domains=True)
            org_id = await billing.organization(plan=None, topup=credits_) if credits_ else uuid.uuid4()
            yield Takedowns(db, on, do, rpc, billing, org_id)
        finally:
            await db.close()
