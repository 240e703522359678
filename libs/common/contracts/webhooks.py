"""Messages that `auth` owns about webhooks: endpoints of an organization or of one of its apps, what was delivered to them, and
the operator's announcements, which are delivered to all.

Every command carries the organization. A secret travels sealed (`libs/common/sealing.py`) to the key that the command brings,
whose private half never left the edge that asks.
"""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.auth import Actor
from libs.common.contracts.envelope import Message


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, but for its secrets. `event_types` empty = all. `reason` says why it is disabled: `asked`, `gone` (the
    receiver answered 410) or `failing` (nothing got through for days).
    """

    webhook_id: uuid.UUID
    url: str
    event_types: tuple[str, ...]
    description: str
    state: str  # active | disabled | deleted
    reason: str
    created_at: datetime
    updated_at: datetime
    app_id: uuid.UUID | None = None  # an app's endpoint hears what users granted to the app, and nothing else
    failing_since: datetime | None = None
    secret_rotated_at: datetime | None = None
    old_secret_until: datetime | None = None  # two secrets sign until then


class ListWebhooks(Message, frozen=True, kw_only=True):
    """All endpoints of an organization and of its apps, newest first; there are few."""

    org_id: uuid.UUID


class Webhooks(Message, frozen=True, kw_only=True):
    """All of them."""

    webhooks: tuple[Webhook, ...]


class GetWebhook(Message, frozen=True, kw_only=True):
    """One endpoint. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    webhook_id: uuid.UUID


class WebhookAnswer(Message, frozen=True, kw_only=True):
    """The endpoint as it is now."""

    webhook: Webhook


class CreateWebhook(Message, frozen=True, kw_only=True):
    """A new endpoint. Fails with INVALID_REQUEST (the URL, a type), CONFLICT (too many), NOT_FOUND (the app),
    PERMISSION_DENIED (a key that sees one model only).
    """

    org_id: uuid.UUID
    by: Actor
    url: str
    reply_key: bytes  # X25519, public, made for this request
    event_types: tuple[str, ...] = ()
    description: str = ""
    app_id: uuid.UUID | None = None


class WebhookSecret(Message, frozen=True, kw_only=True):
    """An endpoint and its new secret (`whsec_…`), sealed to the `reply_key` of the command and bound to the endpoint's id."""

    webhook: Webhook
    sealed: bytes


class UpdateWebhook(Message, frozen=True, kw_only=True):
    """Change what is given (None: unchanged). Enabling one takes up what waits for it. Fails as `CreateWebhook`."""

    org_id: uuid.UUID
    by: Actor
    webhook_id: uuid.UUID
    url: str | None = None
    event_types: tuple[str, ...] | None = None
    description: str | None = None
    is_active: bool | None = None


class DeleteWebhook(Message, frozen=True, kw_only=True):
    """End an endpoint; what waits for it is never sent. Fails with NOT_FOUND."""

    org_id: uuid.UUID
    by: Actor
    webhook_id: uuid.UUID


class RotateWebhookSecret(Message, frozen=True, kw_only=True):
    """A new secret; the present one signs beside it for `overlap_seconds` (0 to 7 days). Fails with NOT_FOUND, INVALID_REQUEST,
    PERMISSION_DENIED.
    """

    org_id: uuid.UUID
    by: Actor
    webhook_id: uuid.UUID
    reply_key: bytes
    overlap_seconds: int = 86_400


class TestWebhook(Message, frozen=True, kw_only=True):
    """Send the endpoint an `auth.webhook.tested`. Fails with NOT_FOUND, CONFLICT (it is disabled)."""

    org_id: uuid.UUID
    by: Actor
    webhook_id: uuid.UUID


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a receiver. `status` None: there was no answer, and `error` says why; bodies are never kept."""

    at: datetime
    duration_ms: int
    status: int | None = None
    error: str = ""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint. `event_id` is the header `webhook-id`, the same on every attempt.

    `state`: pending | delivered | exhausted (no attempt is left) | superseded (a newer event of the same entity had been
    sent before this one came) | cancelled (endpoint or grant ended).
    """

    delivery_id: uuid.UUID
    event_id: uuid.UUID
    type: str
    state: str
    created_at: datetime
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None


class DeliveryAnswer(Message, frozen=True, kw_only=True):
    """A delivery as it is now."""

    delivery: Delivery


class ListDeliveries(Message, frozen=True, kw_only=True):
    """A page of an endpoint's deliveries, newest first: the `limit` ones before the delivery `before`; `state` empty = any.
    Fails with NOT_FOUND.
    """

    org_id: uuid.UUID
    webhook_id: uuid.UUID
    limit: int = 50
    before: uuid.UUID | None = None
    state: str = ""


class Deliveries(Message, frozen=True, kw_only=True):
    """One page; `next` is the `before` of the following one, None at the end."""

    deliveries: tuple[Delivery, ...]
    next: uuid.UUID | None = None


class ReplayDelivery(Message, frozen=True, kw_only=True):
    """Send what was delivered or given up once more, under the same `webhook-id`. Fails with NOT_FOUND, CONFLICT (it is
    pending, or the endpoint is disabled).
    """

    org_id: uuid.UUID
    by: Actor
    webhook_id: uuid.UUID
    delivery_id: uuid.UUID


class WebhookDisabled(Message, frozen=True, kw_only=True):
    """An endpoint gets nothing more until it is enabled again; its organization's other endpoints hear of it."""

    org_id: uuid.UUID
    webhook_id: uuid.UUID
    reason: str  # gone | failing


class AnnouncementMade(Message, frozen=True, kw_only=True):
    """The operator tells every organization of a significant change of the terms or the API."""

    announcement_id: uuid.UUID
    subject: str  # terms | api | other
    effective_at: datetime | None = None


class ListAnnouncements(Message, frozen=True, kw_only=True):
    """A page of announcements, newest first: the `limit` ones before `before`."""

    limit: int = 50
    before: uuid.UUID | None = None


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator said to everybody."""

    announcement_id: uuid.UUID
    made_at: datetime
    subject: str
    title: str
    text: str
    effective_at: datetime | None = None
    url: str = ""


class Announcements(Message, frozen=True, kw_only=True):
    """One page; `next` is the `before` of the following one, None at the end."""

    announcements: tuple[Announcement, ...]
    next: uuid.UUID | None = None
