"""What sessions takes from the bus: calls to platforms, what users ask of their models, and its own jobs."""

from libs.common.bus import Consumer, jobs, rpc
from libs.common.contracts import models, sessions
from libs.common.contracts.envelope import Context
from services.sessions.usecases import UseCases


def consumers(do: UseCases) -> list[Consumer]:
    """All consumers of the service; prefetch and workers as docs/architecture.md says."""

    async def proxy(message: sessions.Proxy, context: Context) -> tuple[sessions.Proxied, bytes]:
        assert context.deadline_ms is not None, "an rpc has a deadline"
        return await do.proxy_call(
            message, context.blob, deadline_ms=context.deadline_ms, is_redelivered=context.is_redelivered
        )

    async def connect(message: sessions.ConnectModel, context: Context) -> None:
        await do.connect_model(message, context.message_id)

    async def refresh(message: sessions.RefreshModel, _context: Context) -> None:
        await do.refresh_model(message)

    calls = rpc("sessions.rpc", prefetch=64, workers=64).on(sessions.Proxy, proxy)
    return [
        _about_links(_about_models(calls, do), do),
        jobs("sessions.jobs", prefetch=8, workers=8)
        .on(sessions.ConnectModel, connect)
        .on(sessions.RefreshModel, refresh),
    ]


def _about_models(consumer: Consumer, do: UseCases) -> Consumer:
    """`consumer` with the commands of organizations about their models."""
    manage = do.manage_model

    async def create(message: models.CreateModel, _: Context) -> models.ModelAnswer:
        return await do.create_model(message)

    async def page(message: models.ListModels, _: Context) -> models.ModelPage:
        return await manage.page(message)

    async def show(message: models.GetModel, _: Context) -> models.ModelShown:
        return await manage.show(message)

    async def update(message: models.UpdateModel, _: Context) -> models.ModelAnswer:
        return await manage.update(message)

    async def delete(message: models.DeleteModel, _: Context) -> models.ModelAnswer:
        return await manage.delete(message)

    async def reconnect(message: models.ReconnectModel, _: Context) -> models.ModelAnswer:
        return await manage.reconnect(message)

    async def disconnect(message: models.DisconnectModel, _: Context) -> models.ModelAnswer:
        return await manage.disconnect(message)

    async def submit_code(message: models.SubmitCode, _: Context) -> models.ModelAnswer:
        return await manage.submit_code(message)

    return (
        consumer.on(models.CreateModel, create)
        .on(models.ListModels, page)
        .on(models.GetModel, show)
        .on(models.UpdateModel, update)
        .on(models.DeleteModel, delete)
        .on(models.ReconnectModel, reconnect)
        .on(models.DisconnectModel, disconnect)
        .on(models.SubmitCode, submit_code)
    )


def _about_links(consumer: Consumer, do: UseCases) -> Consumer:
    """`consumer` with what the pages of connect links need."""
    link = do.use_link

    async def form_key(_message: models.GetFormKey, _: Context) -> models.FormKey:
        return models.FormKey(name=link.keys.active, public=link.keys.public)

    async def show_link(message: models.GetLink, _: Context) -> models.LinkShown:
        return await link.show(message)

    async def use_link(message: models.UseLink, _: Context) -> models.LinkShown:
        return await link(message)

    async def start_consent(message: models.StartConsent, _: Context) -> models.ConsentStarted:
        return await do.use_consent.start(message)

    async def finish_consent(message: models.FinishConsent, _: Context) -> models.LinkShown:
        return await do.use_consent.finish(message)

    return (
        consumer.on(models.GetFormKey, form_key)
        .on(models.GetLink, show_link)
        .on(models.UseLink, use_link)
        .on(models.StartConsent, start_consent)
        .on(models.FinishConsent, finish_consent)
    )
