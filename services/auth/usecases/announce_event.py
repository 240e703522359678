"""An event of the bus becomes webhooks."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.envelope import Message
from services.auth.domain.webhook_events import events_of
from services.auth.domain.webhook_ports import Deliveries


@dataclass(frozen=True, slots=True)
class AnnounceEvent:
    """Put it on its way to every endpoint that takes it. Any number of deliveries has one effect."""

    deliveries: Deliveries

    async def __call__(self, message: Message, message_id: uuid.UUID) -> None:
        await self.deliveries.add(message_id, tuple(events_of(message, message_id)))
