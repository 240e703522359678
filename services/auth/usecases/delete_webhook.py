"""The end of an endpoint."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.contracts.auth import Actor
from services.auth.domain.webhook import EndpointState, Reason
from services.auth.domain.webhook_ports import Endpoints


@dataclass(frozen=True, slots=True)
class DeleteWebhook:
    """What waits for it is never sent; a request under way may still arrive. Raises NotFound."""

    endpoints: Endpoints

    async def __call__(self, org_id: uuid.UUID, webhook_id: uuid.UUID, *, by: Actor | None = None) -> None:
        async with self.endpoints.change(org_id, by) as change:
            old = await change.endpoint(webhook_id)
            await change.delete(msgspec.structs.replace(old, state=EndpointState.DELETED, reason=Reason.NONE))
