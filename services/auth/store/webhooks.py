"""Endpoints of webhooks and announcements on Postgres. Deliveries are in `deliveries.py`."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.contracts.webhooks import Announcement, AnnouncementMade
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.ids import uuid7
from libs.common.telemetry.log import logger
from libs.common.vault import Place, SealBroken, Vault
from services.auth.domain import audit
from services.auth.domain.errors import Conflict, NotFound
from services.auth.domain.key import KeyHolder
from services.auth.domain.webhook import Endpoint, EndpointState, Reason
from services.auth.domain.webhook_events import Event
from services.auth.store.deliveries import QUERIES as DELIVERIES
from services.auth.store.deliveries import put_on_its_way
from services.auth.store.postgres import PostgresAccounts, PostgresChange

QUERIES: Final = load_queries(__package__, "webhooks.sql")
REWRAP_ROWS: Final = 200  # per transaction
_FIRST: Final = uuid.UUID(int=0)
_NO_ENDPOINT: Final = "Webhook not found"
_log = logger(__name__)


class SealedSecrets:
    """Secrets of endpoints, in and out of their seals."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, org_id: uuid.UUID, secret_id: uuid.UUID, secret: str) -> bytes:
        """What the row of a secret holds."""
        return self._vault.seal(_place(org_id, secret_id), secret.encode())

    async def live(self, tx: Tx, webhook_ids: list[uuid.UUID], now: datetime) -> dict[uuid.UUID, tuple[str, ...]]:
        """What signs for each endpoint, the newest first. One that cannot be opened is logged and left out: it must not hold
        up the others.
        """
        found: dict[uuid.UUID, tuple[str, ...]] = {}
        for row in await tx.fetch(QUERIES.live_secrets, webhook_ids, now):
            try:
                text = self._vault.open(_place(row["org_id"], row["secret_id"]), row["sealed"]).decode()
            except SealBroken as exc:
                _log.error("secret of a webhook cannot be opened", webhook_id=str(row["webhook_id"]), error=str(exc))
                continue
            found[row["webhook_id"]] = (*found.get(row["webhook_id"], ()), text)
        return found

    async def rewrap(self, db: Database) -> int:
        """Bring every data key under the active key; answers how many rows changed. Secrets are not opened."""
        last, count = _FIRST, 0
        while True:
            async with db.transaction() as tx:
                rows = await tx.fetch(QUERIES.sealed_secrets, last, REWRAP_ROWS)
                for row in rows:
                    sealed = self._vault.rewrapped(_place(row["org_id"], row["secret_id"]), row["sealed"])
                    if sealed is not None:
                        await tx.execute(QUERIES.rewrap_secret, row["secret_id"], sealed)
                        count += 1
            if len(rows) < REWRAP_ROWS:
                return count
            last = rows[-1]["secret_id"]


def _place(org_id: uuid.UUID, secret_id: uuid.UUID) -> Place:
    return Place(table="webhook_secrets", column="sealed", org_id=org_id, record_id=secret_id)


class PostgresEndpointChange:
    """The port `EndpointChange`, inside the transaction of a `Change`: the audit log is written by that one."""

    def __init__(self, change: PostgresChange, sealed: SealedSecrets, clock: Clock) -> None:
        self._change = change
        self._tx = change.tx
        self._org_id = change.organization.org_id
        self._sealed = sealed
        self._now = clock.now()

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        return await self._change.holder(key_id)

    async def count(self) -> int:
        return int(await self._tx.fetchval(QUERIES.count_endpoints, self._org_id))

    async def app_domains(self, app_id: uuid.UUID) -> list[str]:
        if await self._tx.fetchval(QUERIES.find_app, self._org_id, app_id) is None:
            raise NotFound("App not found")
        return [row["domain"] for row in await self._tx.fetch(QUERIES.list_app_domains, self._org_id, app_id)]

    async def endpoint(self, webhook_id: uuid.UUID) -> Endpoint:
        held = await self._tx.fetchrow(QUERIES.lock_endpoint, self._org_id, webhook_id)
        if held is None or held["state"] == EndpointState.DELETED:
            raise NotFound(_NO_ENDPOINT)
        return _endpoint(await self._tx.fetchrow(QUERIES.get_endpoint, self._org_id, self._now, webhook_id))

    async def add(self, endpoint: Endpoint, secret: str) -> None:
        await self._tx.execute(
            QUERIES.add_endpoint,
            endpoint.webhook_id,
            self._org_id,
            endpoint.app_id,
            endpoint.url,
            list(endpoint.event_types),
            endpoint.description,
            endpoint.created_at,
        )
        await self._add_secret(endpoint, secret)
        self._change.did(audit.webhook_created(endpoint))

    async def update(self, old: Endpoint, new: Endpoint) -> None:
        await self._update(new)
        self._change.did(audit.webhook_updated(old, new))

    async def resume(self, endpoint: Endpoint) -> None:
        await self._tx.execute(DELIVERIES.resume_deliveries, endpoint.webhook_id)
        await self._tx.execute(DELIVERIES.resume_lines, endpoint.webhook_id, self._now)

    async def delete(self, endpoint: Endpoint) -> None:
        await self._update(endpoint)
        await self._tx.execute(DELIVERIES.drop_lines, endpoint.webhook_id)
        await self._tx.execute(DELIVERIES.cancel_deliveries, endpoint.webhook_id, self._now)
        await self._tx.execute(QUERIES.drop_secrets, endpoint.webhook_id)
        self._change.did(audit.webhook_deleted(endpoint))

    async def rotate(self, endpoint: Endpoint, secret: str, *, old_until: datetime) -> None:
        await self._tx.execute(QUERIES.end_secrets, endpoint.webhook_id, old_until)
        await self._add_secret(endpoint, secret)
        self._change.did(audit.webhook_secret_rotated(endpoint, old_until))

    async def send(self, endpoint: Endpoint, event: Event) -> uuid.UUID:
        (delivery_id,) = await put_on_its_way(self._tx, event, [endpoint.webhook_id], self._now)
        self._change.did(audit.webhook_tested(endpoint))
        return delivery_id

    async def replay(self, endpoint: Endpoint, delivery_id: uuid.UUID) -> None:
        found = await self._tx.fetchrow(DELIVERIES.find_delivery, endpoint.webhook_id, delivery_id)
        if found is None:
            raise NotFound("Delivery not found")
        await self._tx.execute(DELIVERIES.hold_lines, [endpoint.webhook_id], found["entity"], self._now)
        if await self._tx.execute(DELIVERIES.reopen_delivery, endpoint.webhook_id, delivery_id) == "UPDATE 0":
            raise Conflict("The delivery is pending: it is sent anyway")
        self._change.did(audit.webhook_replayed(endpoint, delivery_id))

    async def _add_secret(self, endpoint: Endpoint, secret: str) -> None:
        secret_id = uuid7()
        sealed = self._sealed.seal(self._org_id, secret_id, secret)
        await self._tx.execute(
            QUERIES.add_secret, secret_id, endpoint.webhook_id, self._org_id, sealed, self._now
        )  # fmt: skip

    async def _update(self, endpoint: Endpoint) -> None:
        await self._tx.execute(
            QUERIES.update_endpoint,
            self._org_id,
            endpoint.webhook_id,
            endpoint.url,
            list(endpoint.event_types),
            endpoint.description,
            str(endpoint.state),
            str(endpoint.reason),
            endpoint.failing_since,
            self._now,
        )


class PostgresEndpoints:
    """The port `Endpoints`."""

    def __init__(self, db: Database, accounts: PostgresAccounts, sealed: SealedSecrets, clock: Clock) -> None:
        self._db = db
        self._accounts = accounts
        self._sealed = sealed
        self._clock = clock

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID, by: Actor | None) -> AsyncIterator[PostgresEndpointChange]:
        async with self._accounts.change(org_id, by) as change:
            yield PostgresEndpointChange(change, self._sealed, self._clock)

    async def all(self, org_id: uuid.UUID) -> list[Endpoint]:
        rows = await self._db.fetch(QUERIES.list_endpoints, org_id, self._clock.now())
        return [_endpoint(row) for row in rows]

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> Endpoint:
        return _endpoint(await self._db.fetchrow(QUERIES.get_endpoint, org_id, self._clock.now(), webhook_id))


class PostgresAnnouncements:
    """The port `Announcements`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def add(self, announcement: Announcement) -> None:
        async with self._db.transaction() as tx:
            await tx.execute(
                QUERIES.add_announcement,
                announcement.announcement_id,
                announcement.made_at,
                announcement.subject,
                announcement.title,
                announcement.text,
                announcement.effective_at,
                announcement.url,
            )
            made = AnnouncementMade(
                announcement_id=announcement.announcement_id,
                subject=announcement.subject,
                effective_at=announcement.effective_at,
            )
            await self._outbox.add(tx, made)

    async def page(self, *, limit: int, before: uuid.UUID | None) -> list[Announcement]:
        rows = await self._db.fetch(QUERIES.page_announcements, limit, before)
        return [Announcement(**dict(row.items())) for row in rows]


def _endpoint(row: Record | None) -> Endpoint:
    if row is None:
        raise NotFound(_NO_ENDPOINT)
    return Endpoint(
        webhook_id=row["webhook_id"],
        org_id=row["org_id"],
        app_id=row["app_id"],
        url=row["url"],
        event_types=tuple(row["event_types"]),
        description=row["description"],
        state=EndpointState(row["state"]),
        reason=Reason(row["reason"]),
        failing_since=row["failing_since"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        secret_rotated_at=row["secret_rotated_at"],
        old_secret_until=row["old_secret_until"],
    )
