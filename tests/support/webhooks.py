"""Receivers of webhooks as real servers, which check every signature with the reference library, and all of auth's webhooks on a
database, in the test's own time.
"""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import standardwebhooks.webhooks
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local import ports
from libs.common.contracts.envelope import Message
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.http.guarded import GuardedClient
from libs.common.ids import uuid7
from libs.common.vault import Vault
from services.auth.app import webhook_cases
from services.auth.domain.webhook import Endpoint
from services.auth.entry.deliveries import DeliveryLoop
from services.auth.gateways.receivers import WEBHOOKS_AGENT, GuardedReceivers
from services.auth.store.postgres import PostgresAccounts
from services.auth.usecases.create_webhook import WebhookOrder
from services.auth.usecases.webhook_cases import WebhookCases
from tests.support.auth import WEBHOOK_RING_TEXT, StandingClock
from tests.support.serving import serving


@dataclass
class Got:
    """One request, as it came."""

    id: str
    timestamp: str
    signatures: list[str]
    body: bytes
    headers: Mapping[str, str]
    path: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.json["type"])


@dataclass
class Receiver:
    """A server that keeps what comes. `answers` are its next statuses, then `status`; `hold` lets it wait before it answers."""

    url: str
    port: int
    status: int = 200
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    taken: list[Got] = field(default_factory=list)  # those that it answered with a 2xx
    came: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None
    at_once_max: int = 0
    _at_once: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers
        got = Got(
            id=headers["webhook-id"], timestamp=headers["webhook-timestamp"],
            signatures=headers["webhook-signature"].split(" "), body=body, headers=dict(headers), path=request.path_qs,
        )  # fmt: skip
        self.got.append(got)
        self.came.set()
        self._at_once += 1
        self.at_once_max = max(self.at_once_max, self._at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self._at_once -= 1
        status = self.answers.pop(0) if self.answers else self.status
        if 200 <= status < 300:
            self.taken.append(got)
        return web.Response(status=status, headers=self.headers)

    async def until(self, count: int, seconds: float = 20.0) -> list[Got]:
        """What came, once it is that much."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()
        return self.got


@contextlib.asynccontextmanager
async def a_receiver(status: int = 200, *, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    port = port or ports.pick(1)[0]
    receiver = Receiver(url=f"http://127.0.0.1:{port}/hook", port=port, status=status)
    async with serving([web.route("*", "/{path:.*}", receiver.answer)], port):
        try:
            yield receiver
        finally:
            if receiver.hold is not None:
                receiver.hold.set()


def is_signed(got: Got, secret: str) -> bool:
    """Whether the reference library takes it for genuine, and refuses it with a byte changed."""
    try:
        Webhook(secret).verify(got.body, dict(got.headers))
    except WebhookVerificationError:
        return False
    try:
        Webhook(secret).verify(got.body + b" ", dict(got.headers))
    except WebhookVerificationError:
        return True
    return False


def library_time(clock: StandingClock) -> type[datetime]:
    """A `datetime` whose now is the clock's: the receiver's library lives in the test's time as well."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.now().astimezone(tz)

    return Then


LIBRARY = standardwebhooks.webhooks


@dataclass
class Webhooks:
    """All that auth does about webhooks, in time that passes when the test says so."""

    do: WebhookCases
    loop: DeliveryLoop
    clock: StandingClock
    accounts: PostgresAccounts
    outbox: Outbox
    db: Database

    async def endpoint(self, org_id: uuid.UUID, url: str, *types: str, **more: Any) -> tuple[uuid.UUID, str]:
        made = await self.do.create(WebhookOrder(org_id=org_id, url=url, event_types=types, **more))
        return made.webhook_id, made.secret

    async def say(self, message: Message) -> uuid.UUID:
        """A message of the bus arrives; its id."""
        message_id = uuid7()
        await self.do.announce_event(message, message_id)
        return message_id

    async def send_due(self) -> int:
        """Everything that is due now, and what becomes due by it, until nothing is; how many attempts."""
        attempts = 0
        while begun := await self.loop.once():
            await self.loop.settle()
            attempts += begun
        return attempts

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> Endpoint:
        return await self.do.endpoints.one(org_id, webhook_id)

    async def states(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> list[str]:
        """Of all deliveries, oldest first."""
        page = await self.do.deliveries.page(org_id, webhook_id, limit=500, before=None, state="")
        return [each.state for each in reversed(page)]


@contextlib.asynccontextmanager
async def webhooks_on(
    db: Database, clock: StandingClock, *receivers: Receiver, is_strict: bool = False, **options: Any
) -> AsyncIterator[Webhooks]:
    """Auth's webhooks on `db`; they reach these receivers of this machine and the public internet."""
    local: Collection[tuple[str, int]] = [("127.0.0.1", receiver.port) for receiver in receivers]
    http = await GuardedClient.open(user_agent=WEBHOOKS_AGENT, allowed=local)
    outbox, wake = Outbox(), asyncio.Event()
    accounts = PostgresAccounts(db, outbox)
    do = webhook_cases(
        db, outbox, accounts, Vault.parse(WEBHOOK_RING_TEXT), GuardedReceivers(http, local=local, **options), clock,
        wake=wake, is_strict=is_strict,
    )  # fmt: skip
    try:
        yield Webhooks(do, DeliveryLoop(do.deliver, wake), clock, accounts, outbox, db)
    finally:
        await http.close()
