"""What auth takes from the bus: the edge's question who is calling, and the events it projects or announces."""

from collections.abc import Sequence
from typing import Protocol

from libs.common.bus import Consumer, events, rpc
from libs.common.clock import Clock
from libs.common.contracts import auth, billing, edge, sessions
from libs.common.contracts.envelope import Context, Message
from libs.common.errors import Transient
from services.auth.domain import audit
from services.auth.domain.errors import NotFound
from services.auth.domain.ports import Accounts, CallRecords
from services.auth.domain.webhook_events import ANNOUNCED
from services.auth.entry.management import Outdate, managed
from services.auth.usecases import UseCases
from services.auth.usecases.webhook_cases import WebhookCases


class Desk(Protocol):
    """Handlers of one subject."""

    def serving(self, consumer: Consumer) -> Consumer: ...


def consumers(
    do: UseCases,
    accounts: Accounts,
    records: CallRecords,
    clock: Clock,
    webhooks: WebhookCases,
    *,
    outdate_grantors: Outdate,
    desks: Sequence[Desk],
) -> list[Consumer]:
    """All consumers of the service; prefetch and workers as docs/architecture.md says."""

    async def resolve_key(message: auth.ResolveKey, _context: Context) -> auth.Principal:
        return await do.resolve_key(message.digests)

    async def project_subscription(message: billing.SubscriptionChanged, context: Context) -> None:
        try:
            await do.project_subscription(message, context.message_id)
        except NotFound as exc:
            # Billing may know an organization a moment earlier than this database; one that never comes ends as a dead letter.
            raise Transient(f"organization {message.org_id} is not known") from exc
        await announce(message, context)

    async def log_deed(message: sessions.ModelManaged | billing.SubscriptionManaged, context: Context) -> None:
        if isinstance(message, sessions.ModelManaged):
            deed = audit.model_managed(message)
        else:
            deed = audit.subscription_managed(message)
        try:
            await do.log_deed(message.org_id, message.by, deed, context.message_id)
        except NotFound as exc:
            raise Transient(f"organization {message.org_id} is not known") from exc

    async def record_calls(message: edge.CallsCounted, context: Context) -> None:
        await do.record_calls(message, context.message_id)

    async def announce(message: Message, context: Context) -> None:
        await webhooks.announce_event(message, context.message_id)

    asked = rpc("auth.rpc", prefetch=100, workers=50).on(auth.ResolveKey, resolve_key)
    for desk in desks:
        asked = desk.serving(asked)
    return [
        managed(asked, do, accounts, records, clock, outdate_grantors=outdate_grantors),
        events("auth.events", prefetch=50, workers=20)
        .on(billing.SubscriptionChanged, project_subscription)
        .on(sessions.ModelManaged, billing.SubscriptionManaged, log_deed)
        .on(edge.CallsCounted, record_calls)
        .on(*(message for message in ANNOUNCED if message is not billing.SubscriptionChanged), announce),
    ]
