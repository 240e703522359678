"""The ports of webhooks in memory, on the tables of `auth_memory.py`: the least that keeps the promises of `webhook_ports.py`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.contracts.webhooks import Announcement, AnnouncementMade, Attempt, Delivery, WebhookDisabled
from libs.common.ids import uuid7
from services.auth.domain import audit
from services.auth.domain.app import AppState
from services.auth.domain.errors import Conflict, InvalidRequest, NotFound
from services.auth.domain.key import KeyHolder
from services.auth.domain.organization import OrganizationState
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
from tests.support.auth_app_memory import MemoryAppAccounts, MemoryAppChange
from tests.support.auth_memory import Line, Signer, Tables, Underway

ATTEMPTS_SHOWN = 20
_ENDS = {Outcome.DELIVERED: "delivered", Outcome.EXHAUSTED: "exhausted"}
_DISABLES = {Outcome.GONE: Reason.GONE, Outcome.GIVEN_UP: Reason.FAILING}


class MemoryEndpointChange:
    """The port `EndpointChange`."""

    def __init__(self, change: MemoryAppChange, now: datetime) -> None:
        self._change, self._now = change, now
        self._tables: Tables = change._tables
        self._org_id = change.organization.org_id

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        return await self._change.holder(key_id)

    async def count(self) -> int:
        return len(_listed(self._tables, self._org_id))

    async def app_domains(self, app_id: uuid.UUID) -> list[str]:
        await self._change.app(app_id)
        return [each.domain for each in await self._change.domains(app_id) if each.verified_at is not None]

    async def endpoint(self, webhook_id: uuid.UUID) -> Endpoint:
        endpoint = _endpoint(self._tables, self._org_id, webhook_id, self._now)
        if endpoint.state is EndpointState.DELETED:
            raise NotFound("Webhook not found")
        return endpoint

    async def add(self, endpoint: Endpoint, secret: str) -> None:
        self._tables.endpoints[endpoint.webhook_id] = endpoint
        self._tables.signers[endpoint.webhook_id] = [Signer(secret, self._now)]
        self._change.did(audit.webhook_created(endpoint))

    async def update(self, old: Endpoint, new: Endpoint) -> None:
        self._put(new)
        self._change.did(audit.webhook_updated(old, new))

    async def resume(self, endpoint: Endpoint) -> None:
        for delivery in self._pending(endpoint):
            delivery.tries = 0
        for line in _lines(self._tables, endpoint.webhook_id).values():
            line.due_at = self._now

    async def delete(self, endpoint: Endpoint) -> None:
        self._put(endpoint)
        for entity in list(_lines(self._tables, endpoint.webhook_id)):
            del self._tables.lines[endpoint.webhook_id, entity]
        for delivery in self._pending(endpoint):
            delivery.state, delivery.finished_at = "cancelled", self._now
        self._tables.signers[endpoint.webhook_id] = []
        self._change.did(audit.webhook_deleted(endpoint))

    async def rotate(self, endpoint: Endpoint, secret: str, *, old_until: datetime) -> None:
        newest = [each for each in self._tables.signers[endpoint.webhook_id] if each.ends_at is None]
        for each in newest:
            each.ends_at = old_until
        self._tables.signers[endpoint.webhook_id] = [*newest, Signer(secret, self._now)]
        self._change.did(audit.webhook_secret_rotated(endpoint, old_until))

    async def send(self, endpoint: Endpoint, event: Event) -> uuid.UUID:
        (delivery_id,) = _put_on_its_way(self._tables, event, [endpoint.webhook_id], self._now)
        self._change.did(audit.webhook_tested(endpoint))
        return delivery_id

    async def replay(self, endpoint: Endpoint, delivery_id: uuid.UUID) -> None:
        delivery = self._tables.deliveries.get(delivery_id)
        if delivery is None or delivery.webhook_id != endpoint.webhook_id:
            raise NotFound("Delivery not found")
        if delivery.state == "pending":
            raise Conflict("The delivery is pending: it is sent anyway")
        delivery.state, delivery.finished_at, delivery.tries = "pending", None, 0
        _hold_line(self._tables, endpoint.webhook_id, self._tables.heralded[delivery.event_id].entity, self._now)
        self._change.did(audit.webhook_replayed(endpoint, delivery_id))

    def _put(self, endpoint: Endpoint) -> None:
        self._tables.endpoints[endpoint.webhook_id] = msgspec.structs.replace(endpoint, updated_at=self._now)

    def _pending(self, endpoint: Endpoint) -> list[Underway]:
        return [
            each
            for each in self._tables.deliveries.values()
            if (each.webhook_id, each.state) == (endpoint.webhook_id, "pending")
        ]


class MemoryEndpoints:
    """The port `Endpoints`."""

    def __init__(self, accounts: MemoryAppAccounts, clock: Clock) -> None:
        self._accounts, self._clock = accounts, clock

    @contextlib.asynccontextmanager
    async def change(self, org_id: uuid.UUID, by: Actor | None) -> AsyncIterator[MemoryEndpointChange]:
        async with self._accounts.change(org_id, by) as change:
            yield MemoryEndpointChange(change, self._clock.now())

    async def all(self, org_id: uuid.UUID) -> list[Endpoint]:
        tables, now = self._accounts.tables, self._clock.now()
        listed = _listed(tables, org_id)
        return [_endpoint(tables, org_id, each.webhook_id, now) for each in reversed(listed)]

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> Endpoint:
        return _endpoint(self._accounts.tables, org_id, webhook_id, self._clock.now())


class MemoryDeliveries:
    """The port `Deliveries`."""

    def __init__(self, accounts: MemoryAppAccounts, clock: Clock, *, wake: Callable[[], None] = lambda: None) -> None:
        self._accounts, self._clock, self._wake = accounts, clock, wake

    async def add(self, message_id: uuid.UUID, events: Sequence[Event]) -> None:
        now, is_new = self._clock.now(), False
        async with self._accounts._transaction() as tables:
            if message_id in tables.inbox:
                return
            tables.inbox.add(message_id)
            for event in events:
                if takers := _takers(tables, event):
                    _put_on_its_way(tables, event, takers, now)
                    is_new = True
        if is_new:
            self._wake()

    async def claim(self, limit: int) -> list[Sending]:
        now = self._clock.now()
        until, claimed = now + timedelta(seconds=CLAIM_SECONDS), list[Sending]()
        async with self._accounts._transaction() as tables:
            for webhook_id, entity, line in _due(tables, now):
                if len(claimed) == limit:
                    break
                endpoint = tables.endpoints[webhook_id]
                room = IN_FLIGHT_MAX if endpoint.failing_since is None else 1
                under_way = sum(_is_claimed(each, now) for each in _lines(tables, webhook_id).values())
                if under_way >= room:
                    continue
                head = _head(tables, webhook_id, entity)
                if head is not None and not _may_be_sent(tables, endpoint, tables.heralded[head.event_id]):
                    head.state, head.finished_at = "cancelled", now
                    head = None
                if head is None:
                    _go_on(tables, webhook_id, entity, now)
                    continue
                line.claimed_until, head.begun_at = until, head.begun_at or now
                claimed.append(_sending(tables, line, head, until, now))
        return claimed

    async def finish(self, sending: Sending, heard: Heard, verdict: Verdict, *, at: datetime, duration_ms: int) -> None:
        now, reason = self._clock.now(), _DISABLES.get(verdict.outcome)
        async with self._accounts.change(sending.org_id, audit.SYSTEM) as change:
            tables: Tables = change._tables
            delivery, endpoint = tables.deliveries.get(sending.delivery_id), tables.endpoints[sending.webhook_id]
            if delivery is not None:
                attempt = Attempt(at=at, duration_ms=duration_ms, status=heard.status, error=heard.error)
                delivery.attempts.append(attempt)
            entity = next((key[1] for key, line in tables.lines.items() if line.line_id == sending.line_id), None)
            line = None if entity is None else tables.lines[sending.webhook_id, entity]
            is_ours = line is not None and line.claimed_until == sending.claimed_until
            if not is_ours and verdict.outcome is not Outcome.DELIVERED:
                return
            is_failing = verdict.outcome is not Outcome.DELIVERED
            since = (endpoint.failing_since or now) if is_failing else None
            endpoint = msgspec.structs.replace(endpoint, failing_since=since)
            if delivery is not None and delivery.state == "pending":
                delivery.tries += 1
                if state := _ENDS.get(verdict.outcome):
                    delivery.state, delivery.finished_at = state, now
            if is_ours and entity is not None:
                _go_on(tables, sending.webhook_id, entity, verdict.due_at)
            if reason is not None and endpoint.is_active:
                endpoint = msgspec.structs.replace(
                    endpoint, state=EndpointState.DISABLED, reason=reason, updated_at=now
                )
                change.did(audit.webhook_disabled(endpoint, str(reason)))
                change.announce(
                    WebhookDisabled(org_id=sending.org_id, webhook_id=sending.webhook_id, reason=str(reason))
                )
            tables.endpoints[sending.webhook_id] = endpoint

    async def page(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, limit: int, before: uuid.UUID | None, state: str
    ) -> list[Delivery]:
        tables = self._accounts.tables
        if webhook_id not in tables.endpoints or tables.endpoints[webhook_id].org_id != org_id:
            return []
        own = sorted(
            (each for each in tables.deliveries.values() if each.webhook_id == webhook_id),
            key=lambda each: each.delivery_id, reverse=True,
        )  # fmt: skip
        own = [each for each in own if (before is None or each.delivery_id < before) and state in {"", each.state}]
        return [_shown(tables, each) for each in own[:limit]]

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
        for each in await self.page(org_id, webhook_id, limit=1_000_000, before=None, state=""):
            if each.delivery_id == delivery_id:
                return each
        raise NotFound("Delivery not found")

    async def overdue_s(self) -> float:
        now, tables = self._clock.now(), self._accounts.tables
        due = [
            line.due_at
            for (webhook_id, _), line in tables.lines.items()
            if line.due_at <= now and _is_live(tables, tables.endpoints[webhook_id])
        ]
        return (now - min(due)).total_seconds() if due else 0.0

    async def forget(self, before: datetime) -> int:
        async with self._accounts._transaction() as tables:
            old = [each.delivery_id for each in tables.deliveries.values() if each.created_at < before]
            for delivery_id in old:
                del tables.deliveries[delivery_id]
            wanted = {each.event_id for each in tables.deliveries.values()}
            events = [each for each in tables.heralded if each not in wanted and tables.heralded_at[each] < before]
            for event_id in events:
                del tables.heralded[event_id], tables.heralded_at[event_id]
        return len(old) + len(events)


class MemoryAnnouncements:
    """The port `Announcements`."""

    def __init__(self, accounts: MemoryAppAccounts) -> None:
        self._accounts = accounts

    async def add(self, announcement: Announcement) -> None:
        async with self._accounts._transaction() as tables:
            tables.announcements.append(announcement)
            tables.events.append(
                AnnouncementMade(
                    announcement_id=announcement.announcement_id, subject=announcement.subject,
                    effective_at=announcement.effective_at,
                )
            )  # fmt: skip

    async def page(self, *, limit: int, before: uuid.UUID | None) -> list[Announcement]:
        told = sorted(self._accounts.tables.announcements, key=lambda each: each.announcement_id, reverse=True)
        return [each for each in told if before is None or each.announcement_id < before][:limit]


class ToldReceivers:
    """The port `Receivers`: `answers` in turn, then 200; a URL of `nowhere` leads to nobody."""

    def __init__(self) -> None:
        self.answers: list[Heard] = []
        self.nowhere: set[str] = set()
        self.got: list[Sending] = []

    async def check(self, url: str) -> None:
        if url in self.nowhere:
            raise InvalidRequest("url: its host leads to nobody")

    async def send(self, sending: Sending, at: datetime) -> Heard:
        self.got.append(sending)
        return self.answers.pop(0) if self.answers else Heard(status=200)


def _listed(tables: Tables, org_id: uuid.UUID) -> list[Endpoint]:
    own = [each for each in tables.endpoints.values() if each.org_id == org_id]
    return sorted((each for each in own if each.state is not EndpointState.DELETED), key=lambda each: each.webhook_id)


def _endpoint(tables: Tables, org_id: uuid.UUID, webhook_id: uuid.UUID, now: datetime) -> Endpoint:
    endpoint = tables.endpoints.get(webhook_id)
    if endpoint is None or endpoint.org_id != org_id:
        raise NotFound("Webhook not found")
    signers = tables.signers[webhook_id]
    rotated = [each.created_at for each in signers if each.ends_at is None and each.created_at > endpoint.created_at]
    old = [each.ends_at for each in signers if each.ends_at is not None and each.ends_at > now]
    return msgspec.structs.replace(
        endpoint, secret_rotated_at=rotated[0] if rotated else None, old_secret_until=max(old) if old else None
    )


def _is_live(tables: Tables, endpoint: Endpoint) -> bool:
    return (
        endpoint.is_active
        and tables.organizations[endpoint.org_id].state is not OrganizationState.DELETED
        and (endpoint.app_id is None or tables.apps[endpoint.app_id].state is AppState.ACTIVE)
    )


def _takers(tables: Tables, event: Event) -> list[uuid.UUID]:
    found = [
        each.webhook_id
        for each in tables.endpoints.values()
        if _is_live(tables, each)
        and (not each.event_types or event.type in each.event_types)
        and each.webhook_id != event.not_to
        and (
            event.org_id is None
            or (each.org_id == event.org_id and each.app_id is None)
            or (each.app_id is not None and _is_granted(tables, each.app_id, event))
        )
    ]
    return sorted(found)


def _is_granted(tables: Tables, app_id: uuid.UUID, event: Event) -> bool:
    wanted = (app_id, event.org_id, event.model_id, None)
    return any((each.app_id, each.org_id, each.model_id, each.revoked_at) == wanted for each in tables.grants.values())


def _may_be_sent(tables: Tables, endpoint: Endpoint, event: Event) -> bool:
    return endpoint.app_id is None or event.model_id is None or _is_granted(tables, endpoint.app_id, event)


def _put_on_its_way(tables: Tables, event: Event, takers: list[uuid.UUID], now: datetime) -> list[uuid.UUID]:
    tables.heralded[event.event_id], tables.heralded_at[event.event_id] = event, now
    ids = []
    for webhook_id in takers:
        is_old = event.is_versioned and any(
            each.webhook_id == webhook_id
            and each.begun_at is not None
            and tables.heralded[each.event_id].entity == event.entity
            and tables.heralded[each.event_id].number > event.number
            for each in tables.deliveries.values()
        )
        delivery = Underway(
            delivery_id=uuid7(), webhook_id=webhook_id, event_id=event.event_id,
            state="superseded" if is_old else "pending", created_at=now, finished_at=now if is_old else None,
        )  # fmt: skip
        tables.deliveries[delivery.delivery_id] = delivery
        _hold_line(tables, webhook_id, event.entity, now)
        ids.append(delivery.delivery_id)
    return ids


def _hold_line(tables: Tables, webhook_id: uuid.UUID, entity: str, now: datetime) -> None:
    if (webhook_id, entity) not in tables.lines:
        tables.last_line += 1
        tables.lines[webhook_id, entity] = Line(line_id=tables.last_line, due_at=now)


def _lines(tables: Tables, webhook_id: uuid.UUID) -> dict[str, Line]:
    return {entity: line for (of, entity), line in tables.lines.items() if of == webhook_id}


def _is_claimed(line: Line, now: datetime) -> bool:
    return line.claimed_until is not None and line.claimed_until > now


def _due(tables: Tables, now: datetime) -> Iterator[tuple[uuid.UUID, str, Line]]:
    for (webhook_id, entity), line in sorted(tables.lines.items(), key=lambda each: each[1].due_at):
        if line.due_at <= now and not _is_claimed(line, now) and _is_live(tables, tables.endpoints[webhook_id]):
            yield webhook_id, entity, line


def _waiting(tables: Tables, webhook_id: uuid.UUID, entity: str) -> list[Underway]:
    own = [
        each
        for each in tables.deliveries.values()
        if (each.webhook_id, each.state) == (webhook_id, "pending") and tables.heralded[each.event_id].entity == entity
    ]
    return sorted(own, key=lambda each: (tables.heralded[each.event_id].number, each.event_id))


def _head(tables: Tables, webhook_id: uuid.UUID, entity: str) -> Underway | None:
    return next(iter(_waiting(tables, webhook_id, entity)), None)


def _go_on(tables: Tables, webhook_id: uuid.UUID, entity: str, due_at: datetime) -> None:
    if _head(tables, webhook_id, entity) is None:
        del tables.lines[webhook_id, entity]
    else:
        line = tables.lines[webhook_id, entity]
        line.due_at, line.claimed_until = due_at, None


def _sending(tables: Tables, line: Line, head: Underway, until: datetime, now: datetime) -> Sending:
    endpoint = tables.endpoints[head.webhook_id]
    live = [each for each in tables.signers[head.webhook_id] if each.ends_at is None or each.ends_at > now]
    return Sending(
        line_id=line.line_id, claimed_until=until, delivery_id=head.delivery_id, webhook_id=head.webhook_id,
        org_id=endpoint.org_id, event_id=head.event_id, url=endpoint.url, body=tables.heralded[head.event_id].body,
        attempts=head.tries, failing_since=endpoint.failing_since,
        secrets=tuple(each.secret for each in reversed(live)),
    )  # fmt: skip


def _shown(tables: Tables, delivery: Underway) -> Delivery:
    event, is_pending = tables.heralded[delivery.event_id], delivery.state == "pending"
    line = tables.lines.get((delivery.webhook_id, event.entity))
    is_head = is_pending and _head(tables, delivery.webhook_id, event.entity) is delivery
    is_due = is_head and line is not None and tables.endpoints[delivery.webhook_id].is_active
    return Delivery(
        delivery_id=delivery.delivery_id, event_id=delivery.event_id, type=event.type, state=delivery.state,
        created_at=delivery.created_at, attempts=tuple(delivery.attempts[-ATTEMPTS_SHOWN:]),
        next_attempt_at=line.due_at if is_due and line is not None else None,
        delivered_at=delivery.finished_at if delivery.state == "delivered" else None,
    )  # fmt: skip
