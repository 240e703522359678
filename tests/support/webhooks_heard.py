"""In the place of webhooks where a test is about something else: what would have been announced."""

import uuid
from dataclasses import dataclass, field
from typing import Any, cast

from libs.common.contracts.envelope import Message
from services.auth.usecases.announce_event import AnnounceEvent
from services.auth.usecases.webhook_cases import WebhookCases


@dataclass
class Heard:
    """The messages that would have become webhooks."""

    messages: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message, _message_id: uuid.UUID) -> None:
        self.messages.append(message)


def webhooks_heard(heard: Heard) -> WebhookCases:
    """Webhooks that can do nothing but hear."""
    nothing = cast(Any, None)
    return WebhookCases(
        announce_event=cast(AnnounceEvent, heard), create=nothing, update=nothing, delete=nothing, rotate_secret=nothing,
        send_test=nothing, replay=nothing, deliver=nothing, make_announcement=nothing, endpoints=nothing,
        deliveries=nothing, announcements=nothing,
    )  # fmt: skip
