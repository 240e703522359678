"""The service sessions inside the test's own process, on real servers, with the sandbox as its platform."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.contracts.models import Form, FormKey, GetFormKey
from libs.common.contracts.sessions import Proxied, Proxy
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import Relay
from libs.common.http.client import HttpClient
from libs.common.ids import uuid7
from libs.common.sealing import FormKeys, seal_form
from libs.common.settings import Secret
from libs.common.vault import Vault
from services.sessions.app import Platforms, Stores, stores, use_cases
from services.sessions.domain.credentials import Credentials
from services.sessions.domain.model import Model, State
from services.sessions.domain.pace import Rate
from services.sessions.domain.ports import Provider
from services.sessions.entry.consumers import consumers
from services.sessions.gateways.providers.dialect import Dialect
from services.sessions.gateways.providers.fanvue import FanvueApp, FanvueProvider, asked_scopes
from services.sessions.gateways.providers.session import SessionProvider
from services.sessions.sandbox.signin import PASSWORD
from services.sessions.store.sealed import SealedRows
from services.sessions.usecases import UseCases
from tests.support.sandbox import CLIENT, DEMO_EMAIL, Sandbox
from tests.support.servers import TestBroker, TestDatabase

RING = f"k1:{'11' * 32}"
FORM_KEYS = f"f1:{'22' * 32}"
CALL_SECONDS = 10.0


def an_app(sandbox: Sandbox, **changes: Any) -> FanvueApp:
    """Our app as it is registered at the sandbox, with something changed."""
    fields: dict[str, Any] = {
        "auth_url": sandbox.url, "api_url": sandbox.url, "prefix": "", "version": "2025-06-26",
        "client_id": CLIENT.client_id, "client_secret": Secret(CLIENT.client_secret),
        "redirect_url": CLIENT.redirect_url, "scopes": asked_scopes(""),
    }  # fmt: skip
    return FanvueApp(**(fields | changes))


@dataclass
class Sessions:
    """One process' worth of the service, and an edge beside it."""

    db: Database
    bus: Bus
    edge: Bus
    on: Stores
    do: UseCases
    relay: Relay
    sandbox: Sandbox
    org_id: uuid.UUID = field(default_factory=uuid7)

    async def connect(
        self, *, email: str = DEMO_EMAIL, password: str = PASSWORD, code: str = "", label: str = "one"
    ) -> Model:
        """Ask for a model and wait until its connection is settled."""
        credentials = Credentials(email=email, password=password)
        model = await self.do.ask_connect(
            self.org_id, provider="sandbox", label=label, credentials=credentials, code=code
        )
        await self.relay.flush()
        return await self.settled(model.model_id)

    async def model(self, model_id: uuid.UUID) -> Model:
        """The truth of this moment."""
        live = await self.on.models.find(self.org_id, model_id)
        assert live is not None
        return live.model

    async def settled(self, model_id: uuid.UUID) -> Model:
        """The model once nobody is at it any more."""
        async with asyncio.timeout(10):
            while True:
                model = await self.model(model_id)
                if model.state not in (State.CONNECTING, State.REFRESHING):
                    return model
                await asyncio.sleep(0.01)

    async def call(
        self, model_id: uuid.UUID, route: str, *, body: bytes = b"", seconds: float = CALL_SECONDS, **more: Any
    ) -> tuple[Proxied, bytes]:
        """Call a route as an edge does. `more`: fields of `Proxy`."""
        params = {"fan_id": "1001", **more.pop("path_params", {})}
        fields: dict[str, Any] = {"call_id": uuid7(), "org_id": self.org_id, "model_id": model_id, "route": route}
        proxy = Proxy(**(fields | {"path_params": params} | more))
        reply, blob = await self.edge.call(
            proxy, org_id=self.org_id, deadline_ms=int(1000 * (time.time() + seconds)), blob=body
        )
        assert isinstance(reply, Proxied)
        return reply, blob

    async def send(self, model_id: uuid.UUID, **more: Any) -> tuple[Proxied, bytes]:
        """Send a message: a write that must never run twice."""
        return await self.call(model_id, "messages_send", body=b'{"text":"hi"}', **more)

    async def ask(self, request: Any) -> Any:
        """A command of an edge, and its reply. Raises RpcError."""
        reply, _ = await self.edge.call(
            request, org_id=getattr(request, "org_id", None), deadline_ms=int(1000 * (time.time() + CALL_SECONDS))
        )
        return reply

    async def sealed(self, bound_to: bytes, **form: str) -> bytes:
        """A form as an edge seals it."""
        key: FormKey = await self.ask(GetFormKey())
        return seal_form(key.name, key.public, bound_to=bound_to, form=msgspec.json.encode(Form(**form)))

    async def until(self, is_so: Callable[[Model], bool], model_id: uuid.UUID) -> Model:
        """The model once it is as wished."""
        async with asyncio.timeout(10):
            while not is_so(model := await self.model(model_id)):
                await asyncio.sleep(0.01)
        return model

    async def events(self) -> list[str]:
        """The types of the events that wait in the outbox, in order; flushing would send them to nobody."""
        rows = await self.db.fetch("SELECT type FROM outbox ORDER BY id")
        return [row["type"] for row in rows]

    async def fence(self, call_id: uuid.UUID) -> dict[str, Any] | None:
        """The row of a fenced call."""
        row = await self.db.fetchrow("SELECT * FROM upstream_calls WHERE call_id = $1", call_id)
        return None if row is None else dict(row.items())


@contextlib.asynccontextmanager
async def running_sessions(
    database: TestDatabase,
    broker: TestBroker,
    sandbox: Sandbox,
    *,
    upstream_timeout_ms: int = 5_000,
    paces: dict[str, Rate] | None = None,
) -> AsyncIterator[Sessions]:
    """The service, consuming; without its timers, which tests turn by hand."""
    async with contextlib.AsyncExitStack() as stack:
        db = await Database.connect(database.dsn("sessions"), schema="sessions", name="test", size_max=20)
        stack.push_async_callback(db.close)
        http = await HttpClient.open()
        stack.push_async_callback(http.close)
        bus = await Bus.connect(broker.url("sessions"), service="sessions")
        stack.push_async_callback(bus.close)
        edge = await Bus.connect(broker.url("edge"), service="edge")
        stack.push_async_callback(edge.close)
        clock, outbox = SystemClock(), Outbox()
        on = stores(db, outbox, SealedRows(Vault.parse(RING)), clock)
        fanvue = FanvueProvider(http, an_app(sandbox), clock=clock)
        providers: dict[str, Provider] = {  # a platform of its own kind for each, the same to talk to
            name: SessionProvider(http, name=name, url=sandbox.url, dialect=Dialect(), clock=clock)
            for name in ("sandbox", "session")
        }
        do = use_cases(
            on, Platforms(providers | {"fanvue": fanvue}, {"fanvue": fanvue}), clock, upstream_timeout_ms=upstream_timeout_ms, forms=FormKeys.parse(FORM_KEYS),
            paces=paces or {},
        )  # fmt: skip
        await bus.start(consumers(do))
        yield Sessions(db, bus, edge, on, do, Relay(db, bus.publisher, outbox), sandbox)
