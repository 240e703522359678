"""What auth takes from the bus: the edge's question who is calling, and the events it projects or announces."""

from collections.abc import Sequence
from typing import Protocol

from libs.common.bus import Consumer, events, rpc
from libs.common.clock import Clock
from libs.common.contracts import auth, billing, edge, sessions, takedowns
from libs.common.contracts.envelope import Context, Message
from libs.common.errors import Transient
from services.auth.domain.errors import NotFound
from services.auth.domain.ports import Accounts, CallRecords
from services.auth.entry.management import Outdate, managed
from services.auth.usecases import UseCases


class Desk(Protocol):
    """Handlers of one subject."""

    def serving(self, consumer: Consumer) -> Consumer: ...


def consumers(
    do: UseCases,
    accounts: Accounts,
    records: CallRecords,
    clock: Clock,
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

    async def log_model_deed(message: sessions.ModelManaged, context: Context) -> None:
        try:
            await do.log_model_deed(message, context.message_id)
        except NotFound as exc:
            raise Transient(f"organization {message.org_id} is not known") from exc

    async def record_calls(message: edge.CallsCounted, context: Context) -> None:
        await do.record_calls(message, context.message_id)

    async def announce(_message: Message, _context: Context) -> None:
        """Nobody to tell: these become webhooks where an organization has an endpoint, and none can have one yet."""

    asked = rpc("auth.rpc", prefetch=100, workers=50).on(auth.ResolveKey, resolve_key)
    for desk in desks:
        asked = desk.serving(asked)
    return [
        managed(asked, do, accounts, records, clock, outdate_grantors=outdate_grantors),
        events("auth.events", prefetch=50, workers=20)
        .on(billing.SubscriptionChanged, project_subscription)
        .on(sessions.ModelManaged, log_model_deed)
        .on(edge.CallsCounted, record_calls)
        .on(
            billing.CreditsLow,
            sessions.ModelConnected,
            sessions.ModelAwaitingCode,
            sessions.ModelConnectFailed,
            sessions.ModelSyncLost,
            sessions.ModelReconnected,
            sessions.ModelDisconnected,
            sessions.ModelDeleted,
            takedowns.BatchAccepted,
            takedowns.BatchRefunded,
            takedowns.UrlChanged,
            takedowns.NoticeSent,
            takedowns.NoticeBounced,
            takedowns.NoticeCountered,
            takedowns.ActionRequired,
            takedowns.CreatorDeleted,
            announce,
        ),
    ]
