"""What auth can do about webhooks; `app.py` builds them beside the other use cases."""

from dataclasses import dataclass

from services.auth.domain.webhook_ports import Announcements, Deliveries, Endpoints
from services.auth.usecases.announce_event import AnnounceEvent
from services.auth.usecases.create_webhook import CreateWebhook
from services.auth.usecases.delete_webhook import DeleteWebhook
from services.auth.usecases.deliver_webhooks import DeliverWebhooks
from services.auth.usecases.make_announcement import MakeAnnouncement
from services.auth.usecases.rotate_webhook_secret import RotateWebhookSecret
from services.auth.usecases.send_again import ReplayDelivery, SendTest
from services.auth.usecases.update_webhook import UpdateWebhook


@dataclass(frozen=True, slots=True)
class WebhookCases:
    """Every use case about webhooks, and what is read without one."""

    announce_event: AnnounceEvent
    create: CreateWebhook
    update: UpdateWebhook
    delete: DeleteWebhook
    rotate_secret: RotateWebhookSecret
    send_test: SendTest
    replay: ReplayDelivery
    deliver: DeliverWebhooks
    make_announcement: MakeAnnouncement
    endpoints: Endpoints
    deliveries: Deliveries
    announcements: Announcements
