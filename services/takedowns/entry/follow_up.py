"""Bus and clock for URLs under way: the jobs, the commands of organizations about them, and what is due."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from libs.common.bus import Consumer
from libs.common.contracts import notices, takedowns
from libs.common.contracts.envelope import Context
from libs.common.db.timers import Timer
from services.takedowns.entry import follow_up_metrics as metrics
from services.takedowns.entry.places import BATCHES_AT_ONCE, NOTICES_AT_ONCE, NOTICES_PATIENCE_SECONDS, Places
from services.takedowns.usecases.check_urls import LIMIT as LOOKS
from services.takedowns.usecases.plan_notices import LIMIT as PLANNED
from services.takedowns.usecases.read_mail import LIMIT as MAILS
from services.takedowns.usecases.right_of_way import RightOfWay
from services.takedowns.usecases.under_way import UnderWay

PLAN_SECONDS: Final = 2.0
SEND_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 2.0
MAIL_SECONDS: Final = 30.0
HOSTS_SECONDS: Final = 10.0
HOSTS_PER_TURN: Final = 50
TELL_SECONDS: Final = 30.0
SHARE_SECONDS: Final = 60.0
RECOVER_SECONDS: Final = 60.0
COUNT_SECONDS: Final = 15.0
DAY_SECONDS: Final = 86_400.0
HOUR_SECONDS: Final = 3_600.0
TURNS_MAX: Final = 50  # in a row, before the others have theirs


def about_takedowns(consumer: Consumer, do: UnderWay) -> Consumer:
    """`consumer` with the commands of organizations about their takedowns."""
    manage = do.manage_takedowns

    async def page(message: notices.ListTakedowns, _: Context) -> notices.TakedownPage:
        return await manage.page(message)

    async def show(message: notices.GetTakedown, _: Context) -> notices.TakedownAnswer:
        return await manage.show(message)

    async def summary(message: notices.GetTakedownSummary, _: Context) -> notices.TakedownSummary:
        return await manage.summary(message)

    async def recheck(message: notices.RecheckTakedown, _: Context) -> notices.TakedownChanged:
        return await manage.recheck(message)

    async def cancel(message: notices.CancelTakedown, _: Context) -> notices.TakedownChanged:
        return await manage.cancel(message)

    async def file(message: notices.FileTakedown, _: Context) -> notices.TakedownChanged:
        return await manage.file(message)

    async def notice(message: notices.GetNotice, _: Context) -> notices.NoticeShown:
        return await manage.notice(message)

    async def host(message: notices.GetHost, _: Context) -> notices.HostShown:
        return await manage.host(message)

    async def actions(message: notices.ListActions, _: Context) -> notices.ActionPage:
        return await manage.actions(message)

    return (
        consumer.on(notices.ListTakedowns, page)
        .on(notices.GetTakedown, show)
        .on(notices.GetTakedownSummary, summary)
        .on(notices.RecheckTakedown, recheck)
        .on(notices.CancelTakedown, cancel)
        .on(notices.FileTakedown, file)
        .on(notices.GetNotice, notice)
        .on(notices.GetHost, host)
        .on(notices.ListActions, actions)
    )


def follow_up_jobs(consumer: Consumer, do: UnderWay, hosts: Places) -> Consumer:
    """`consumer` with the jobs of URLs under way. Each may be done again, or left: rows say what is to be done."""
    batches, letters = Places(BATCHES_AT_ONCE), Places(NOTICES_AT_ONCE, patience_s=NOTICES_PATIENCE_SECONDS)

    async def accepted(message: takedowns.BatchAccepted, _: Context) -> None:
        async with batches.some_time():
            await do.start_urls(message.batch_id)

    async def resolve(message: takedowns.ResolveHost, _: Context) -> None:
        async with hosts.soon() as is_free:
            if is_free:
                await do.resolve_host(message.host_id)

    async def send(message: takedowns.SendNotice, _: Context) -> None:
        async with letters.soon() as is_free:
            if is_free:
                await do.send_notice(message.notice_id)

    return (
        consumer.on(takedowns.BatchAccepted, accepted).on(takedowns.ResolveHost, resolve).on(takedowns.SendNotice, send)
    )


def follow_up_timers(
    do: UnderWay,
    hosts: Places,
    way: RightOfWay,
    *,
    enqueue_notices: Callable[[], Awaitable[int]],
    hosts_to_resolve: Callable[[], Awaitable[Sequence[int]]],
) -> list[Timer]:
    """What is due for URLs under way."""

    async def send() -> None:
        await enqueue_notices()

    async def recover() -> None:
        await do.send_notice.recover()

    async def resolve_one(host_id: int) -> None:
        async with hosts.some_time():
            await do.resolve_host(host_id)

    async def resolve() -> int:
        due = await hosts_to_resolve()
        await asyncio.gather(*(resolve_one(host_id) for host_id in due))
        return len(due)

    found = [
        Timer("plan notices", PLAN_SECONDS, _turns(do.plan_notices, PLANNED, way)),
        Timer("send notices", SEND_SECONDS, send),
        Timer("recover notices", RECOVER_SECONDS, recover),
        Timer("resolve hosts", HOSTS_SECONDS, _turns(resolve, HOSTS_PER_TURN, way)),
        Timer("tell creators", TELL_SECONDS, do.tell_creators.__call__),
    ]
    if do.check_urls is not None:
        found.append(Timer("check urls", CHECK_SECONDS, _turns(do.check_urls, LOOKS, way)))
    if do.share_notices is not None:
        found.append(Timer("share notices", SHARE_SECONDS, do.share_notices.__call__))
    if do.read_mail is not None:
        found.append(Timer("read mail", MAIL_SECONDS, _turns(do.read_mail, MAILS, way)))
    return found


def upkeep_timers(
    *,
    keep_directory: Callable[[], Awaitable[int]],
    refresh_bootstrap: Callable[[], Awaitable[int]],
    count_open_actions: Callable[[], Awaitable[int]],
    count_csam_waiting: Callable[[], Awaitable[int]],
    oldest_due_s: Callable[[], Awaitable[float]],
) -> list[Timer]:
    """What is kept in order, and counted."""

    async def count() -> None:
        metrics.ACTIONS.set(await count_open_actions())
        metrics.CSAM_WAITING.set(await count_csam_waiting())
        metrics.OLDEST_DUE.set(await oldest_due_s())

    async def keep() -> None:
        metrics.STALE.set(await keep_directory())

    async def refresh() -> None:
        metrics.BOOTSTRAP_OLD.set(await refresh_bootstrap())

    return [
        Timer("count takedowns", COUNT_SECONDS, count),
        Timer("keep directory", HOUR_SECONDS, keep),
        Timer("refresh bootstrap", DAY_SECONDS, refresh),
    ]


def _turns(turn: Callable[[], Awaitable[int]], full: int, way: RightOfWay) -> Callable[[], Awaitable[None]]:
    """Turn after turn, as long as each is full; submissions go first."""

    async def work() -> None:
        for _ in range(TURNS_MAX):
            await way.give_way()
            if await turn() < full:
                return

    return work
