"""What takedowns takes from the bus: submissions, what organizations ask of their creators and batches, and its own jobs."""

import time

from libs.common.bus import Consumer, jobs, rpc
from libs.common.contracts import creators, notices, takedowns
from libs.common.contracts.envelope import Context
from libs.common.errors import FangateError
from services.takedowns.entry.follow_up import about_takedowns, follow_up_jobs
from services.takedowns.entry.metrics import SUBMITS, count_submission
from services.takedowns.entry.places import WORKERS, Places
from services.takedowns.usecases import UseCases
from services.takedowns.usecases.under_way import UnderWay


def consumers(do: UseCases, under_way: UnderWay, hosts: Places) -> list[Consumer]:
    """All consumers of the service. A submission is up to 5 MiB and a transaction of its own: few at a time."""

    async def submit_urls(message: takedowns.SubmitUrls, context: Context) -> takedowns.UrlsSubmitted:
        started = time.perf_counter()
        try:
            with do.way:
                reply = await do.submit_urls(message, context.blob, context.message_id)
        except FangateError as exc:
            SUBMITS.labels(exc.code.lower()).inc()
            raise
        if not message.is_dry_run:
            count_submission(reply, seconds=time.perf_counter() - started)
        return reply

    async def list_batches(message: takedowns.ListBatches, _: Context) -> takedowns.BatchPage:
        return await do.read_batches.page(message)

    async def get_batch(message: takedowns.GetBatch, _: Context) -> takedowns.BatchAnswer:
        return await do.read_batches.show(message)

    async def report_csam(message: takedowns.ReportCsam, context: Context) -> takedowns.CsamReported:
        return await under_way.report_csam(message, context.message_id)

    async def get_settings(message: notices.GetTakedownSettings, _: Context) -> notices.TakedownSettings:
        return await under_way.choose_sharing.show(message)

    async def update_settings(message: notices.UpdateTakedownSettings, _: Context) -> notices.TakedownSettings:
        return await under_way.choose_sharing.update(message)

    async def forget_creator(message: takedowns.ForgetCreator, _: Context) -> None:
        await do.forget_creator(message)

    calls = rpc("takedowns.rpc", prefetch=32, workers=16).on(takedowns.SubmitUrls, submit_urls)
    return [
        about_takedowns(_about_creators(calls, do), under_way)
        .on(takedowns.ListBatches, list_batches)
        .on(takedowns.GetBatch, get_batch)
        .on(takedowns.ReportCsam, report_csam)
        .on(notices.GetTakedownSettings, get_settings)
        .on(notices.UpdateTakedownSettings, update_settings),
        follow_up_jobs(jobs("takedowns.jobs", prefetch=WORKERS, workers=WORKERS), under_way, hosts).on(
            takedowns.ForgetCreator, forget_creator
        ),
    ]


def _about_creators(consumer: Consumer, do: UseCases) -> Consumer:
    """`consumer` with the commands about creators."""
    manage = do.manage_creators

    async def submit(message: creators.SubmitCreators, _: Context) -> creators.CreatorsSubmitted:
        return await do.register_creators(message)

    async def page(message: creators.ListCreators, _: Context) -> creators.CreatorPage:
        return await manage.page(message)

    async def show(message: creators.GetCreator, _: Context) -> creators.CreatorAnswer:
        return await manage.show(message)

    async def update(message: creators.UpdateCreator, _: Context) -> creators.CreatorAnswer:
        return await manage.update(message)

    async def delete(message: creators.DeleteCreator, _: Context) -> creators.CreatorDeletion:
        return await manage.delete(message)

    async def stats(message: creators.GetCreatorStats, _: Context) -> creators.CreatorStatsAnswer:
        return await manage.stats(message)

    return (
        consumer.on(creators.SubmitCreators, submit)
        .on(creators.ListCreators, page)
        .on(creators.GetCreator, show)
        .on(creators.UpdateCreator, update)
        .on(creators.DeleteCreator, delete)
        .on(creators.GetCreatorStats, stats)
    )
