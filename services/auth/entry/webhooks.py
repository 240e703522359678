"""The commands behind `/api/webhooks` and `/api/announcements`."""

import uuid

from libs.common.bus import Consumer
from libs.common.contracts import webhooks
from libs.common.contracts.envelope import Context
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import STATES_LISTED, Endpoint
from services.auth.entry.shown_once import sealed_secret
from services.auth.usecases.create_webhook import SecretShown, WebhookOrder
from services.auth.usecases.update_webhook import WebhookEdit
from services.auth.usecases.webhook_cases import WebhookCases


class WebhookDesk:
    """One method a command."""

    def __init__(self, do: WebhookCases) -> None:
        self._do = do

    def serving(self, consumer: Consumer) -> Consumer:
        """`consumer` with a handler for each command."""
        return (
            consumer.on(webhooks.ListWebhooks, self.list)
            .on(webhooks.GetWebhook, self.get)
            .on(webhooks.CreateWebhook, self.create)
            .on(webhooks.UpdateWebhook, self.update)
            .on(webhooks.DeleteWebhook, self.delete)
            .on(webhooks.RotateWebhookSecret, self.rotate_secret)
            .on(webhooks.TestWebhook, self.test)
            .on(webhooks.ListDeliveries, self.list_deliveries)
            .on(webhooks.ReplayDelivery, self.replay)
            .on(webhooks.ListAnnouncements, self.list_announcements)
        )

    async def list(self, message: webhooks.ListWebhooks, _context: Context) -> webhooks.Webhooks:
        endpoints = await self._do.endpoints.all(message.org_id)
        return webhooks.Webhooks(webhooks=tuple(_shown(each) for each in endpoints))

    async def get(self, message: webhooks.GetWebhook, _context: Context) -> webhooks.WebhookAnswer:
        return await self._answer(message.org_id, message.webhook_id)

    async def create(self, message: webhooks.CreateWebhook, _context: Context) -> webhooks.WebhookSecret:
        made = await self._do.create(
            WebhookOrder(
                org_id=message.org_id,
                url=message.url,
                event_types=message.event_types,
                description=message.description,
                app_id=message.app_id,
                by=message.by,
            )
        )
        return await self._sealed(message.org_id, made, message.reply_key)

    async def update(self, message: webhooks.UpdateWebhook, _context: Context) -> webhooks.WebhookAnswer:
        edit = WebhookEdit(
            url=message.url,
            event_types=message.event_types,
            description=message.description,
            is_active=message.is_active,
        )
        await self._do.update(message.org_id, message.webhook_id, edit, by=message.by)
        return await self._answer(message.org_id, message.webhook_id)

    async def delete(self, message: webhooks.DeleteWebhook, _context: Context) -> webhooks.WebhookAnswer:
        await self._do.delete(message.org_id, message.webhook_id, by=message.by)
        return await self._answer(message.org_id, message.webhook_id)

    async def rotate_secret(self, message: webhooks.RotateWebhookSecret, _context: Context) -> webhooks.WebhookSecret:
        made = await self._do.rotate_secret(
            message.org_id, message.webhook_id, overlap_seconds=message.overlap_seconds, by=message.by
        )
        return await self._sealed(message.org_id, made, message.reply_key)

    async def test(self, message: webhooks.TestWebhook, _context: Context) -> webhooks.DeliveryAnswer:
        delivery_id = await self._do.send_test(message.org_id, message.webhook_id, by=message.by)
        return await self._delivery(message.org_id, message.webhook_id, delivery_id)

    async def list_deliveries(self, message: webhooks.ListDeliveries, _context: Context) -> webhooks.Deliveries:
        if message.state not in STATES_LISTED:
            raise InvalidRequest(f"state: one of {', '.join(sorted(STATES_LISTED - {''}))}")
        await self._do.endpoints.one(message.org_id, message.webhook_id)
        # One more than asked for tells whether there is a next page.
        found = await self._do.deliveries.page(
            message.org_id, message.webhook_id, limit=message.limit + 1, before=message.before, state=message.state
        )
        page = tuple(found[: message.limit])
        next_ = page[-1].delivery_id if page and len(found) > len(page) else None
        return webhooks.Deliveries(deliveries=page, next=next_)

    async def replay(self, message: webhooks.ReplayDelivery, _context: Context) -> webhooks.DeliveryAnswer:
        await self._do.replay(message.org_id, message.webhook_id, message.delivery_id, by=message.by)
        return await self._delivery(message.org_id, message.webhook_id, message.delivery_id)

    async def list_announcements(
        self, message: webhooks.ListAnnouncements, _context: Context
    ) -> webhooks.Announcements:
        found = await self._do.announcements.page(limit=message.limit + 1, before=message.before)
        page = tuple(found[: message.limit])
        next_ = page[-1].announcement_id if page and len(found) > len(page) else None
        return webhooks.Announcements(announcements=page, next=next_)

    async def _answer(self, org_id: uuid.UUID, webhook_id: uuid.UUID) -> webhooks.WebhookAnswer:
        return webhooks.WebhookAnswer(webhook=_shown(await self._do.endpoints.one(org_id, webhook_id)))

    async def _delivery(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: uuid.UUID
    ) -> webhooks.DeliveryAnswer:
        return webhooks.DeliveryAnswer(delivery=await self._do.deliveries.one(org_id, webhook_id, delivery_id))

    async def _sealed(self, org_id: uuid.UUID, made: SecretShown, reply_key: bytes) -> webhooks.WebhookSecret:
        sealed = sealed_secret(made.secret, reply_key, bound_to=made.webhook_id)
        answer = await self._answer(org_id, made.webhook_id)
        return webhooks.WebhookSecret(webhook=answer.webhook, sealed=sealed)


def _shown(endpoint: Endpoint) -> webhooks.Webhook:
    return webhooks.Webhook(
        webhook_id=endpoint.webhook_id,
        url=endpoint.url,
        event_types=endpoint.event_types,
        description=endpoint.description,
        state=endpoint.state,
        reason=endpoint.reason,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        app_id=endpoint.app_id,
        failing_since=endpoint.failing_since,
        secret_rotated_at=endpoint.secret_rotated_at,
        old_secret_until=endpoint.old_secret_until,
    )
