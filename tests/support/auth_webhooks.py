"""Valid objects of webhooks, with one thing changed."""

import uuid

import msgspec

from libs.common.ids import uuid7
from services.auth.domain.webhook import Endpoint
from services.auth.domain.webhook_events import Event
from tests.support.auth import NOW


def an_endpoint(org_id: uuid.UUID, **changed: object) -> Endpoint:
    """It hears of everything."""
    endpoint = Endpoint(
        webhook_id=uuid7(), org_id=org_id, url="https://receiver.example.com/hook", created_at=NOW, updated_at=NOW
    )
    return msgspec.structs.replace(endpoint, **changed)


def an_event(org_id: uuid.UUID | None, **changed: object) -> Event:
    """Of an entity of its own."""
    event_id = uuid7()
    event = Event(
        event_id=event_id, type="billing.credits.low", org_id=org_id, entity=f"thing:{event_id}", number=1, at=NOW,
        data={"state": "low"},
    )  # fmt: skip
    return msgspec.structs.replace(event, **changed)
