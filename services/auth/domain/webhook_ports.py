"""What webhooks need from outside: endpoints and their secrets, the deliveries under way, receivers, announcements."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from libs.common.contracts.auth import Actor
from libs.common.contracts.webhooks import Announcement, Delivery
from services.auth.domain.key import KeyHolder
from services.auth.domain.webhook import Endpoint, Heard, Sending, Verdict
from services.auth.domain.webhook_events import Event


class EndpointChange(Protocol):
    """One transaction on an organization's endpoints, whose row it holds. Every write leaves its line in the audit log; no
    right moves by it, so the auth version stays.
    """

    async def holder(self, key_id: uuid.UUID) -> KeyHolder:
        """A key of the organization with all that it speaks for, as of now. Raises NotFound."""
        ...

    async def count(self) -> int:
        """Endpoints that were not deleted."""
        ...

    async def app_domains(self, app_id: uuid.UUID) -> list[str]:
        """The domains that an app's owner has shown to control. Raises NotFound: no such app here, or not any more."""
        ...

    async def endpoint(self, webhook_id: uuid.UUID) -> Endpoint:
        """Raises NotFound, also for an endpoint of another organization or one that was deleted."""
        ...

    async def add(self, endpoint: Endpoint, secret: str) -> None: ...

    async def update(self, old: Endpoint, new: Endpoint) -> None:
        """URL, types, description, state and reason of `new` from now on."""
        ...

    async def resume(self, endpoint: Endpoint) -> None:
        """What waits for it is sent now, each with a whole ladder before it."""
        ...

    async def delete(self, endpoint: Endpoint) -> None:
        """It is gone, and what waits for it is cancelled."""
        ...

    async def rotate(self, endpoint: Endpoint, secret: str, *, old_until: datetime) -> None:
        """`secret` signs from now on, and the one before it until then; any older one ends."""
        ...

    async def send(self, endpoint: Endpoint, event: Event) -> uuid.UUID:
        """Put an event on its way to this endpoint; answers the delivery's id."""
        ...

    async def replay(self, endpoint: Endpoint, delivery_id: uuid.UUID) -> None:
        """Put what is finished on its way again. Raises NotFound, Conflict (it is pending)."""
        ...


class Endpoints(Protocol):
    """The endpoints of all organizations."""

    def change(self, org_id: uuid.UUID, by: Actor | None) -> AbstractAsyncContextManager[EndpointChange]:
        """Commits when the block ends, rolls back when it raises. Raises NotFound on entry."""
        ...

    async def all(self, org_id: uuid.UUID) -> list[Endpoint]:
        """Newest first, without deleted ones."""
        ...

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> Endpoint:
        """A deleted one too. Raises NotFound, also for an endpoint of another organization."""
        ...


class Deliveries(Protocol):
    """Events on their way."""

    async def add(self, message_id: uuid.UUID, events: Sequence[Event]) -> None:
        """Put events on their way to every endpoint that takes them, once for each message (inbox)."""
        ...

    async def claim(self, limit: int) -> list[Sending]:
        """Heads of lines that are due, at most `limit`, and few for any one endpoint. They are the caller's until
        `claimed_until`; what is not finished by then is sent again by whoever claims it next.
        """
        ...

    async def finish(self, sending: Sending, heard: Heard, verdict: Verdict, *, at: datetime, duration_ms: int) -> None:
        """Note the attempt, and what follows for delivery, line and endpoint: one transaction."""
        ...

    async def page(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, limit: int, before: uuid.UUID | None, state: str
    ) -> list[Delivery]:
        """Newest first."""
        ...

    async def one(self, org_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
        """Raises NotFound."""
        ...

    async def overdue_s(self) -> float:
        """How long the delivery that waits longest should have been sent already; 0 = none is late."""
        ...

    async def forget(self, before: datetime) -> int:
        """Drop a portion of the deliveries, and events, from before a date; how many."""
        ...


class Receivers(Protocol):
    """Whoever is behind endpoints."""

    async def check(self, url: str) -> None:
        """Raises InvalidRequest where the URL's name leads to nobody, or to what is not the public internet."""
        ...

    async def send(self, sending: Sending, at: datetime) -> Heard:
        """One signed request. Never raises: what went wrong is heard."""
        ...


class Announcements(Protocol):
    """What the operator told everybody."""

    async def add(self, announcement: Announcement) -> None:
        """Store it, and tell all endpoints that take it."""
        ...

    async def page(self, *, limit: int, before: uuid.UUID | None) -> list[Announcement]:
        """Newest first."""
        ...
