"""Deliveries of webhooks on Postgres: put on their way, claimed by whichever process has room, finished, forgotten.

Times come from the process's clock, never from the database's, so that a test can let hours pass. Clocks of processes may differ
by less than a claim is longer than an attempt.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.webhooks import Attempt, Delivery, WebhookDisabled
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.db.tx import accept_once
from libs.common.ids import uuid7
from services.auth.domain import audit
from services.auth.domain.errors import NotFound
from services.auth.domain.webhook import (
    CLAIM_SECONDS,
    IN_FLIGHT_MAX,
    Endpoint,
    EndpointState,
    Heard,
    Outcome,
    Reason,
    Sending,
    Verdict,
)
from services.auth.domain.webhook_events import Event
from services.auth.store.postgres import PostgresAccounts

QUERIES: Final = load_queries(__package__, "deliveries.sql")
# Beside the name under which rights are projected: some messages do both, in transactions of their own.
CONSUMER: Final = "auth.webhooks"
_DISABLES: Final = {Outcome.GONE: Reason.GONE, Outcome.GIVEN_UP: Reason.FAILING}
_ENDS: Final = {Outcome.DELIVERED: "delivered", Outcome.EXHAUSTED: "exhausted"}


class Secrets(Protocol):
    """What signs for endpoints."""

    async def live(self, tx: Tx, webhook_ids: list[uuid.UUID], now: datetime) -> dict[uuid.UUID, tuple[str, ...]]: ...


async def put_on_its_way(tx: Tx, event: Event, takers: list[uuid.UUID], now: datetime) -> list[uuid.UUID]:
    """A delivery of `event` for each of `takers`, which are in order; answers their ids."""
    await tx.execute(
        QUERIES.add_event, event.event_id, event.org_id, event.model_id, event.type, event.entity, event.number,
        event.is_versioned, event.body, now,
    )  # fmt: skip
    # The lines first: from here on nobody sends or ends anything in them, and what was begun is seen by the next statement.
    await tx.execute(QUERIES.hold_lines, takers, event.entity, now)
    ids = [uuid7() for _ in takers]
    await tx.execute(
        QUERIES.add_deliveries, ids, takers, event.event_id, event.entity, event.number, event.is_versioned, now
    )
    return ids


class PostgresDeliveries:
    """The port `Deliveries`. `wake` is set when something was put on its way here."""

    def __init__(
        self, db: Database, accounts: PostgresAccounts, secrets: Secrets, clock: Clock, wake: asyncio.Event
    ) -> None:
        self._db = db
        self._accounts = accounts
        self._secrets = secrets
        self._clock = clock
        self._wake = wake

    async def add(self, message_id: uuid.UUID, events: Sequence[Event]) -> None:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            if not await accept_once(tx, CONSUMER, message_id):
                return
            # In one order everywhere: two messages at once wait for each other, and never in a circle.
            for event in sorted(events, key=lambda each: each.entity):
                wanted = (event.org_id, event.model_id, event.type, event.not_to)
                takers = [row["webhook_id"] for row in await tx.fetch(QUERIES.find_takers, *wanted)]
                if takers:
                    await put_on_its_way(tx, event, takers, now)
                    tx.after_commit(self._wake.set)

    async def claim(self, limit: int) -> list[Sending]:
        now = self._clock.now()
        until = now + timedelta(seconds=CLAIM_SECONDS)
        async with self._db.transaction() as tx:
            lines = await tx.fetch(QUERIES.claim_lines, now, until, limit, IN_FLIGHT_MAX)
            if not lines:
                return []
            heads = await tx.fetch(QUERIES.find_heads, [line["line_id"] for line in lines])
            allowed = [head for head in heads if head["may_be_sent"]]
            for head in heads:
                if not head["may_be_sent"]:
                    await tx.execute(QUERIES.cancel_delivery, head["delivery_id"], now)
            for line_id in {line["line_id"] for line in lines} - {head["line_id"] for head in allowed}:
                await _go_on(tx, line_id, now)
            await tx.execute(QUERIES.begin_deliveries, [head["delivery_id"] for head in allowed], now)
            secrets = await self._secrets.live(tx, [head["webhook_id"] for head in allowed], now)
        return [_sending(head, until, secrets.get(head["webhook_id"], ())) for head in allowed]

    async def finish(self, sending: Sending, heard: Heard, verdict: Verdict, *, at: datetime, duration_ms: int) -> None:
        now = self._clock.now()
        async with contextlib.AsyncExitStack() as stack:
            disables = _DISABLES.get(verdict.outcome)
            change = None
            if disables is None:
                tx = await stack.enter_async_context(self._db.transaction())
            else:
                # The organization first, as whoever else changes its endpoints does.
                change = await stack.enter_async_context(self._accounts.change(sending.org_id, audit.SYSTEM))
                tx = change.tx
            held = await tx.fetchrow(QUERIES.lock_endpoint, sending.org_id, sending.webhook_id)
            await tx.execute(
                QUERIES.note_attempt, uuid7(), sending.delivery_id, at, duration_ms, heard.status, heard.error
            )
            is_ours = await tx.fetchval(QUERIES.hold_line, sending.line_id, sending.claimed_until) is not None
            if not is_ours and verdict.outcome is not Outcome.DELIVERED:
                return  # somebody else is at it, or the endpoint is gone: what follows is theirs to say
            if verdict.outcome is Outcome.DELIVERED:
                await tx.execute(QUERIES.note_success, sending.webhook_id)
            else:
                await tx.execute(QUERIES.note_failure, sending.webhook_id, now)
            if state := _ENDS.get(verdict.outcome):
                await tx.execute(QUERIES.finish_delivery, sending.delivery_id, state, now)
            else:
                await tx.execute(QUERIES.count_attempt, sending.delivery_id)
            if is_ours:
                await _go_on(tx, sending.line_id, verdict.due_at)
            if (
                change is not None
                and disables is not None
                and held is not None
                and held["state"] == EndpointState.ACTIVE
            ):
                await tx.execute(QUERIES.disable_endpoint, sending.webhook_id, str(disables), now)
                change.did(audit.webhook_disabled(_of(sending), str(disables)))
                change.announce(
                    WebhookDisabled(org_id=sending.org_id, webhook_id=sending.webhook_id, reason=str(disables))
                )

    async def page(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, limit: int, before: uuid.UUID | None, state: str
    ) -> list[Delivery]:
        rows = await self._db.fetch(QUERIES.page_deliveries, org_id, webhook_id, limit, before, state, None)
        return [_delivery(row) for row in rows]

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
        rows = await self._db.fetch(QUERIES.page_deliveries, org_id, webhook_id, 1, None, "", delivery_id)
        if not rows:
            raise NotFound("Delivery not found")
        return _delivery(rows[0])

    async def overdue_s(self) -> float:
        now = self._clock.now()
        since = await self._db.fetchval(QUERIES.find_overdue, now)
        return 0.0 if since is None else float((now - since).total_seconds())

    async def forget(self, before: datetime) -> int:
        deliveries = await self._db.fetch(QUERIES.forget_deliveries, before)
        events = await self._db.fetch(QUERIES.forget_events, before)
        return len(deliveries) + len(events)


async def _go_on(tx: Tx, line_id: int, due_at: datetime) -> None:
    """The line is nobody's any more: gone if nothing waits in it, else due at `due_at`."""
    if await tx.execute(QUERIES.end_line, line_id) == "DELETE 0":
        await tx.execute(QUERIES.release_line, line_id, due_at)


def _of(sending: Sending) -> Endpoint:
    """As much of an endpoint as the audit log tells."""
    at = sending.claimed_until
    return Endpoint(
        webhook_id=sending.webhook_id, org_id=sending.org_id, url=sending.url, created_at=at, updated_at=at
    )  # fmt: skip


def _sending(row: Record, until: datetime, secrets: tuple[str, ...]) -> Sending:
    return Sending(
        line_id=row["line_id"],
        claimed_until=until,
        delivery_id=row["delivery_id"],
        webhook_id=row["webhook_id"],
        org_id=row["org_id"],
        event_id=row["event_id"],
        url=row["url"],
        body=row["body"],
        attempts=row["attempts"],
        failing_since=row["failing_since"],
        secrets=secrets,
    )


def _delivery(row: Record) -> Delivery:
    attempts: list[dict[str, Any]] = row["attempts"]
    is_pending = row["state"] == "pending"
    return Delivery(
        delivery_id=row["delivery_id"],
        event_id=row["event_id"],
        type=row["type"],
        state=row["state"],
        created_at=row["created_at"],
        attempts=msgspec.convert(attempts, tuple[Attempt, ...]),
        next_attempt_at=row["due_at"] if is_pending and row["is_head"] else None,
        delivered_at=row["finished_at"] if row["state"] == "delivered" else None,
    )
