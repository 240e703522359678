"""A new endpoint for webhooks, and its secret, shown once."""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.ids import random_bytes, uuid7
from services.auth.domain.errors import Conflict, InvalidRequest, PermissionDenied
from services.auth.domain.webhook import (
    ENDPOINTS_MAX,
    SECRET_BYTES,
    SECRET_PREFIX,
    Endpoint,
    checked_description,
    checked_types,
)
from services.auth.domain.webhook_events import EVENT_TYPES
from services.auth.domain.webhook_ports import EndpointChange, Endpoints, Receivers
from services.auth.domain.webhook_url import checked_url, is_under
from services.auth.usecases.issue_key import maker_of


class WebhookOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint that is wanted. No types = all of them; with an app it hears what users granted to the app."""

    org_id: uuid.UUID
    url: str
    event_types: Sequence[str] = ()
    description: str = ""
    app_id: uuid.UUID | None = None
    by: Actor | None = None


class SecretShown(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is what signatures are checked with: nobody can ask for it again."""

    webhook_id: uuid.UUID
    secret: str

    def __repr__(self) -> str:
        return f"SecretShown(webhook_id={self.webhook_id}, secret='***')"


@dataclass(frozen=True, slots=True)
class Places:
    """Where endpoints may lie: what the URL says, where its name leads, and whose domain it is."""

    receivers: Receivers
    is_strict: bool  # outside development

    async def checked(self, url: str) -> str:
        """`url`. Raises InvalidRequest."""
        url = checked_url(url, is_strict=self.is_strict)
        await self.receivers.check(url)
        return url


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """Raises InvalidRequest (URL, type, description), Conflict (too many), NotFound (the app), PermissionDenied, InvalidApiKey."""

    endpoints: Endpoints
    places: Places
    clock: Clock

    async def __call__(self, order: WebhookOrder) -> SecretShown:
        types = checked_types(order.event_types, EVENT_TYPES)
        description = checked_description(order.description)
        url = await self.places.checked(order.url)  # before the transaction: names take time
        now = self.clock.now()
        endpoint = Endpoint(
            webhook_id=uuid7(),
            org_id=order.org_id,
            app_id=order.app_id,
            url=url,
            event_types=types,
            description=description,
            created_at=now,
            updated_at=now,
        )
        secret = new_secret()
        async with self.endpoints.change(order.org_id, order.by) as change:
            await check_asker(change, order.by, now)
            await check_domain(change, endpoint)
            if await change.count() >= ENDPOINTS_MAX:
                raise Conflict(f"There are {ENDPOINTS_MAX} webhooks: delete one that is not used")
            await change.add(endpoint, secret)
        # Only after the commit: a secret that was shown exists.
        return SecretShown(webhook_id=endpoint.webhook_id, secret=secret)


def new_secret() -> str:
    """`whsec_` and 256 random bits, as Standard Webhooks 1.0.0 writes them."""
    return SECRET_PREFIX + base64.b64encode(random_bytes(SECRET_BYTES)).decode()


async def check_asker(change: EndpointChange, by: Actor | None, now: datetime) -> None:
    """Raises PermissionDenied for a key that reaches one model only: an endpoint hears of all of them. Raises InvalidApiKey."""
    maker = await maker_of(change, by, now)
    if maker is not None and maker.model_id is not None:
        raise PermissionDenied("This key reaches one model only, and a webhook would hear of all")


async def check_domain(change: EndpointChange, endpoint: Endpoint) -> None:
    """Raises InvalidRequest where an app's endpoint lies outside the domains that its owner has shown to control."""
    if endpoint.app_id is None:
        return
    if not is_under(endpoint.url, await change.app_domains(endpoint.app_id)):
        raise InvalidRequest("url: the host lies under a verified domain of the app")
