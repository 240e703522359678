"""What may change about an endpoint: where it lies, what it hears, whether it rests."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from services.auth.domain.webhook import Endpoint, EndpointState, Reason, checked_description, checked_types
from services.auth.domain.webhook_events import EVENT_TYPES
from services.auth.domain.webhook_ports import Endpoints
from services.auth.usecases.create_webhook import Places, check_asker, check_domain


class WebhookEdit(msgspec.Struct, frozen=True, kw_only=True):
    """None: unchanged."""

    url: str | None = None
    event_types: Sequence[str] | None = None
    description: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class UpdateWebhook:
    """Enabling an endpoint forgets its failures and sends what waits for it. Raises as `CreateWebhook`, NotFound."""

    endpoints: Endpoints
    places: Places
    clock: Clock
    wake: Callable[[], None]

    async def __call__(
        self, org_id: uuid.UUID, webhook_id: uuid.UUID, edit: WebhookEdit, *, by: Actor | None = None
    ) -> None:
        url = None if edit.url is None else await self.places.checked(edit.url)
        types = None if edit.event_types is None else checked_types(edit.event_types, EVENT_TYPES)
        description = None if edit.description is None else checked_description(edit.description)
        async with self.endpoints.change(org_id, by) as change:
            await check_asker(change, by, self.clock.now())
            old = await change.endpoint(webhook_id)
            new = msgspec.structs.replace(
                old,
                url=old.url if url is None else url,
                event_types=old.event_types if types is None else types,
                description=old.description if description is None else description,
            )
            new = _switched(new, edit.is_active)
            if new == old:
                return
            if new.url != old.url:
                await check_domain(change, new)
            await change.update(old, new)
            if new.is_active and not old.is_active:
                await change.resume(new)
        self.wake()


def _switched(endpoint: Endpoint, is_active: bool | None) -> Endpoint:  # noqa: FBT001 - None: as it is
    if is_active is None or is_active is endpoint.is_active:
        return endpoint
    if is_active:
        return msgspec.structs.replace(
            endpoint, state=EndpointState.ACTIVE, reason=Reason.NONE, failing_since=None
        )  # fmt: skip
    return msgspec.structs.replace(endpoint, state=EndpointState.DISABLED, reason=Reason.ASKED)
