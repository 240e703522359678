"""Webhooks: endpoints of the organization and of its apps, their secrets (shown once), and what was delivered to them; and the
operator's announcements, which go to all of them.
"""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from libs.common.contracts import webhooks
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of, told
from services.edge.domain.queries import QueryRule, one_of
from services.edge.domain.refusal import Refusal
from services.edge.domain.reply_key import reply_key

DELIVERIES_DEFAULT: Final = 50
DELIVERIES_MAX: Final = 500
URL_CHARACTERS_MAX: Final = 2_048
TYPES_MAX: Final = 100
OVERLAP_SECONDS_DEFAULT: Final = 86_400
OVERLAP_SECONDS_MAX: Final = 7 * 86_400
STATE: Final[QueryRule] = one_of("pending", "delivered", "exhausted", "superseded", "cancelled")

Url = Annotated[
    str,
    msgspec.Meta(max_length=URL_CHARACTERS_MAX, description="https, port 443, a name in the public internet."),
    told(examples=["https://hooks.example.com/fangate"]),
]
Types = Annotated[
    tuple[str, ...],
    msgspec.Meta(max_length=TYPES_MAX, description="What it hears of; none = everything, also what there will be."),
    told(examples=[["sessions.model.sync_lost", "takedowns.batch.accepted"]]),
]
Description = Annotated[str, told(maxLength=200)]


class WebhookOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint that is wanted; with an app it hears what users granted to the app, and nothing else."""

    url: Url
    event_types: Types = ()
    description: Description = ""
    app_id: UUID | None = None


class WebhookEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about an endpoint; what is left out stays."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    event_types: Types | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    state: Literal["active", "disabled"] | msgspec.UnsetType = msgspec.UNSET


class SecretRotation(msgspec.Struct, frozen=True, kw_only=True):
    """How long the old secret signs beside the new one."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS_DEFAULT


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and the secret that its signatures are checked with; `secret` is shown this once."""

    webhook: webhooks.Webhook
    secret: str


def _create(asked: Asked) -> webhooks.CreateWebhook:
    order: WebhookOrder = asked.body
    return webhooks.CreateWebhook(
        org_id=asked.org_id,
        by=asked.by,
        url=order.url,
        reply_key=reply_key(asked.token).public,
        event_types=order.event_types,
        description=order.description,
        app_id=order.app_id,
    )


def _update(asked: Asked) -> webhooks.UpdateWebhook:
    edit: WebhookEdit = asked.body
    if edit == WebhookEdit():
        raise Refusal(
            "INVALID_REQUEST", "body: nothing to change: url, event_types, description or state is expected"
        )  # fmt: skip
    return webhooks.UpdateWebhook(
        org_id=asked.org_id,
        by=asked.by,
        webhook_id=asked.id("webhook_id"),
        url=None if edit.url is msgspec.UNSET else edit.url,
        event_types=None if edit.event_types is msgspec.UNSET else edit.event_types,
        description=None if edit.description is msgspec.UNSET else edit.description,
        is_active=None if edit.state is msgspec.UNSET else edit.state == "active",
    )


def _rotate(asked: Asked) -> webhooks.RotateWebhookSecret:
    rotation: SecretRotation = asked.body
    return webhooks.RotateWebhookSecret(
        org_id=asked.org_id,
        by=asked.by,
        webhook_id=asked.id("webhook_id"),
        reply_key=reply_key(asked.token).public,
        overlap_seconds=rotation.overlap_seconds,
    )


def _new_secret(asked: Asked, reply: webhooks.WebhookSecret) -> NewSecret:
    opened = reply_key(asked.token).open(reply.sealed, bound_to=reply.webhook.webhook_id.bytes)
    return NewSecret(webhook=reply.webhook, secret=opened.decode())


def _deliveries(asked: Asked) -> webhooks.ListDeliveries:
    before = asked.query.get("before")
    return webhooks.ListDeliveries(
        org_id=asked.org_id,
        webhook_id=asked.id("webhook_id"),
        limit=asked.number("limit", default=DELIVERIES_DEFAULT, most=DELIVERIES_MAX),
        before=None if before is None else UUID(before),
        state=asked.query.get("state", ""),
    )


def _announcements(asked: Asked) -> webhooks.ListAnnouncements:
    before = asked.query.get("before")
    return webhooks.ListAnnouncements(
        limit=asked.number("limit", default=DELIVERIES_DEFAULT, most=DELIVERIES_MAX),
        before=None if before is None else UUID(before),
    )


def _webhook(reply: webhooks.WebhookAnswer) -> webhooks.Webhook:
    return reply.webhook


def _delivery(reply: webhooks.DeliveryAnswer) -> webhooks.Delivery:
    return reply.delivery


ROUTES: Final = (
    OwnRoute(
        name="webhooks_list", method="GET", path="/webhooks", permission="api_webhooks_list", data=webhooks.Webhooks,
        command=lambda asked: webhooks.ListWebhooks(org_id=asked.org_id),
    ),
    OwnRoute(
        name="webhooks_create", method="POST", path="/webhooks", permission="api_webhooks_create", status=201,
        body=WebhookOrder, data=NewSecret, command=_create, show_asked=_new_secret, shows_secret=True,
    ),
    OwnRoute(
        name="webhooks_read", method="GET", path="/webhooks/{webhook_id}", permission="api_webhooks_read",
        data=webhooks.Webhook, show=_webhook,
        command=lambda asked: webhooks.GetWebhook(org_id=asked.org_id, webhook_id=asked.id("webhook_id")),
    ),
    OwnRoute(
        name="webhooks_update", method="PATCH", path="/webhooks/{webhook_id}", permission="api_webhooks_update",
        body=WebhookEdit, data=webhooks.Webhook, command=_update, show=_webhook,
    ),
    OwnRoute(
        name="webhooks_delete", method="DELETE", path="/webhooks/{webhook_id}", permission="api_webhooks_delete",
        data=webhooks.Webhook, show=_webhook,
        command=lambda asked: webhooks.DeleteWebhook(
            org_id=asked.org_id, by=asked.by, webhook_id=asked.id("webhook_id")
        ),
    ),
    OwnRoute(
        name="webhooks_rotate_secret", method="POST", path="/webhooks/{webhook_id}/rotate-secret",
        permission="api_webhooks_rotate_secret", status=201, body=SecretRotation, data=NewSecret, command=_rotate,
        show_asked=_new_secret, shows_secret=True,
    ),
    OwnRoute(
        name="webhooks_test", method="POST", path="/webhooks/{webhook_id}/test", permission="api_webhooks_test",
        status=201, data=webhooks.Delivery, show=_delivery,
        command=lambda asked: webhooks.TestWebhook(
            org_id=asked.org_id, by=asked.by, webhook_id=asked.id("webhook_id")
        ),
    ),
    OwnRoute(
        name="webhooks_list_deliveries", method="GET", path="/webhooks/{webhook_id}/deliveries",
        permission="api_webhooks_list_deliveries", query=query_of(limit=LIMIT, before=ID, state=STATE),
        data=webhooks.Deliveries, command=_deliveries,
    ),
    OwnRoute(
        name="webhooks_replay", method="POST", path="/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
        permission="api_webhooks_replay", status=201, data=webhooks.Delivery, show=_delivery,
        command=lambda asked: webhooks.ReplayDelivery(
            org_id=asked.org_id, by=asked.by, webhook_id=asked.id("webhook_id"), delivery_id=asked.id("delivery_id")
        ),
    ),
    OwnRoute(
        name="announcements_list", method="GET", path="/announcements", permission="api_organization_read",
        query=query_of(limit=LIMIT, before=ID), data=webhooks.Announcements, command=_announcements,
    ),
)  # fmt: skip
