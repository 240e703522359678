"""What an endpoint's owner asks to be sent: a test, or a delivery once more."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict
from services.auth.domain.webhook import Endpoint
from services.auth.domain.webhook_events import tested
from services.auth.domain.webhook_ports import Endpoints


@dataclass(frozen=True, slots=True)
class SendTest:
    """Put an `auth.webhook.tested` on its way; answers the delivery's id. Raises NotFound, Conflict (it is disabled)."""

    endpoints: Endpoints
    wake: Callable[[], None]

    async def __call__(self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, by: Actor | None = None) -> uuid.UUID:
        async with self.endpoints.change(org_id, by) as change:
            endpoint = _active(await change.endpoint(webhook_id))
            delivery_id = await change.send(endpoint, tested(uuid7(), org_id, webhook_id))
        self.wake()
        return delivery_id


@dataclass(frozen=True, slots=True)
class ReplayDelivery:
    """Send a finished delivery again, under the same id. Raises NotFound, Conflict (pending, or the endpoint is disabled)."""

    endpoints: Endpoints
    wake: Callable[[], None]

    async def __call__(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: uuid.UUID, *, by: Actor | None = None
    ) -> None:
        async with self.endpoints.change(org_id, by) as change:
            await change.replay(_active(await change.endpoint(webhook_id)), delivery_id)
        self.wake()


def _active(endpoint: Endpoint) -> Endpoint:
    if not endpoint.is_active:
        raise Conflict("The webhook is disabled: enable it first")
    return endpoint
