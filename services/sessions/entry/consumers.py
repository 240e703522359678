"""What sessions takes from the bus: calls to platforms, and its own jobs."""

from libs.common.bus import Consumer, jobs, rpc
from libs.common.contracts import sessions
from libs.common.contracts.envelope import Context
from services.sessions.usecases import UseCases


def consumers(do: UseCases) -> list[Consumer]:
    """All consumers of the service; prefetch and workers as docs/architecture.md says."""

    async def proxy(message: sessions.Proxy, context: Context) -> tuple[sessions.Proxied, bytes]:
        assert context.deadline_ms is not None, "an rpc has a deadline"
        return await do.proxy_call(message, context.blob, deadline_ms=context.deadline_ms)

    async def connect(message: sessions.ConnectModel, context: Context) -> None:
        await do.connect_model(message, context.message_id)

    async def refresh(message: sessions.RefreshModel, _context: Context) -> None:
        await do.refresh_model(message)

    return [
        rpc("sessions.rpc", prefetch=64, workers=64).on(sessions.Proxy, proxy),
        jobs("sessions.jobs", prefetch=8, workers=8)
        .on(sessions.ConnectModel, connect)
        .on(sessions.RefreshModel, refresh),
    ]
