"""A new secret for an endpoint; the old one signs beside it for a while, so that receivers can change over."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import OVERLAP_SECONDS_MAX
from services.auth.domain.webhook_ports import Endpoints
from services.auth.usecases.create_webhook import SecretShown, check_asker, new_secret


@dataclass(frozen=True, slots=True)
class RotateWebhookSecret:
    """At most two secrets sign at a time. Raises InvalidRequest (overlap), NotFound, PermissionDenied, InvalidApiKey."""

    endpoints: Endpoints
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, overlap_seconds: int, by: Actor | None = None
    ) -> SecretShown:
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            raise InvalidRequest("overlap_seconds: 0 to 7 days")
        now = self.clock.now()
        secret = new_secret()
        async with self.endpoints.change(org_id, by) as change:
            await check_asker(change, by, now)
            endpoint = await change.endpoint(webhook_id)
            await change.rotate(endpoint, secret, old_until=now + timedelta(seconds=overlap_seconds))
        return SecretShown(webhook_id=webhook_id, secret=secret)
