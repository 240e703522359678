"""The composition root of takedowns: every object is built here, once, in order."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from libs.common.clock import Clock, SystemClock
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.timers import Timer
from libs.common.http.guarded import GuardedClient
from libs.common.process import Process
from libs.common.settings import load
from libs.common.telemetry.log import logger
from libs.common.worker import Worker
from services.takedowns.domain.host import is_stale
from services.takedowns.domain.notice_ports import AbuseDesk, DryFolder, Eyes, Mailbox, Names, Registries, Relay
from services.takedowns.domain.public_copy import PublicRecord
from services.takedowns.domain.sending import Sending
from services.takedowns.domain.url import InvalidUrlError, UrlReader
from services.takedowns.entry import follow_up_metrics as metrics
from services.takedowns.entry.consumers import consumers
from services.takedowns.entry.follow_up import HOSTS_PER_TURN, follow_up_timers, upkeep_timers
from services.takedowns.entry.places import HOSTS_AT_ONCE, HOSTS_PATIENCE_SECONDS, Places
from services.takedowns.entry.timers import timers
from services.takedowns.gateways.billing import BillingCredits, Rpc
from services.takedowns.gateways.eyes import PageEyes
from services.takedowns.gateways.mail_folder import MailFolder
from services.takedowns.gateways.names import SystemNames
from services.takedowns.gateways.rdap import Rdap
from services.takedowns.gateways.rdap_bootstrap import Bootstrap
from services.takedowns.settings import TakedownsSettings
from services.takedowns.store.batches import PostgresBatches
from services.takedowns.store.creator_mails import PostgresCreatorMails
from services.takedowns.store.creators import PostgresCreators
from services.takedowns.store.csam_reports import PostgresCsamReports
from services.takedowns.store.host_rows import put_shipped
from services.takedowns.store.partitions import keep_checks
from services.takedowns.store.progress import PostgresProgress
from services.takedowns.store.refunds import PostgresRefunds
from services.takedowns.store.shared_notices import PostgresSharedNotices
from services.takedowns.store.shipped_hosts import shipped_hosts
from services.takedowns.store.submissions import PostgresSubmissions
from services.takedowns.store.takedown_reads import PostgresTakedowns
from services.takedowns.usecases import UseCases
from services.takedowns.usecases.check_urls import STATES as LOOKED_AT_STATES
from services.takedowns.usecases.check_urls import CheckUrls
from services.takedowns.usecases.forget_creator import ForgetCreator, PurgeCreators
from services.takedowns.usecases.give_back import GiveBack
from services.takedowns.usecases.manage_creators import ManageCreators
from services.takedowns.usecases.manage_takedowns import ManageTakedowns
from services.takedowns.usecases.plan_notices import CLAIMED_FOR, PlanNotices
from services.takedowns.usecases.plan_notices import STATES as PLANNED_STATES
from services.takedowns.usecases.read_batches import ReadBatches
from services.takedowns.usecases.read_mail import ReadMail
from services.takedowns.usecases.refund_urls import RefundUrls, SendRefunds
from services.takedowns.usecases.register_creators import RegisterCreators
from services.takedowns.usecases.report_csam import Report
from services.takedowns.usecases.resolve_host import ResolveHost
from services.takedowns.usecases.right_of_way import RightOfWay
from services.takedowns.usecases.send_notice import SendNotice
from services.takedowns.usecases.settle_batches import SettleBatches
from services.takedowns.usecases.share_notices import ChooseSharing, ShareNotices
from services.takedowns.usecases.start_urls import StartUrls
from services.takedowns.usecases.store_batch import StoreBatch
from services.takedowns.usecases.submit_urls import SubmitUrls
from services.takedowns.usecases.tell_creators import TellCreators
from services.takedowns.usecases.under_way import UnderWay

SERVICE = "takedowns"
NOTICES_PER_TURN = 200
CONNECTIONS_MAX = 20  # to Postgres: submissions hold one each while they are stored; calls and timers share the rest

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything on Postgres."""

    batches: PostgresBatches
    creator_mails: PostgresCreatorMails
    creators: PostgresCreators
    csam_reports: PostgresCsamReports
    refunds: PostgresRefunds
    shared_notices: PostgresSharedNotices
    submissions: PostgresSubmissions
    progress: PostgresProgress
    takedowns: PostgresTakedowns


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(TakedownsSettings, service=SERVICE)
    worker = await Worker.open(process, settings, connections_max=CONNECTIONS_MAX)
    db, clock = worker.db, SystemClock()
    on = stores(db, worker.outbox)
    reader = UrlReader(settings.denied_hosts())
    do = use_cases(on, worker.bus, clock, reader=reader, allows_test_domains=settings.env != "production")
    follow_up = await _follow_up(process, settings, db, on, clock, reader, do.way)

    async def keep_months() -> None:
        await keep_checks(db)

    for timer in timers(
        do,
        count_leasing=on.submissions.count_leasing,
        forget_replies=on.submissions.forget_replies,
        keep_checks=keep_months,
    ):
        process.start(timer.name, timer.run())
    for timer in follow_up.timers:
        process.start(timer.name, timer.run())
    await worker.serve(consumers(do, follow_up.do, follow_up.hosts))


def stores(db: Database, outbox: Outbox) -> Stores:
    """The stores on one pool."""
    return Stores(
        batches=PostgresBatches(db),
        creator_mails=PostgresCreatorMails(db),
        creators=PostgresCreators(db, outbox),
        csam_reports=PostgresCsamReports(db),
        refunds=PostgresRefunds(db, outbox),
        shared_notices=PostgresSharedNotices(db),
        submissions=PostgresSubmissions(db, outbox),
        progress=PostgresProgress(db, outbox),
        takedowns=PostgresTakedowns(db),
    )


def use_cases(on: Stores, rpc: Rpc, clock: Clock, *, reader: UrlReader, allows_test_domains: bool) -> UseCases:
    """Every use case on these ports."""
    refund_urls = RefundUrls(on.refunds)
    return UseCases(
        forget_creator=ForgetCreator(on.refunds, refund_urls),
        manage_creators=ManageCreators(on.creators, allows_test_domains),
        purge_creators=PurgeCreators(on.creators, clock),
        read_batches=ReadBatches(on.batches),
        refund_urls=refund_urls,
        register_creators=RegisterCreators(on.creators, allows_test_domains),
        send_refunds=SendRefunds(on.refunds),
        settle_batches=SettleBatches(on.submissions),
        submit_urls=SubmitUrls(on.submissions, BillingCredits(rpc, clock), StoreBatch(on.submissions), reader),
        way=RightOfWay(),
    )


@dataclass(frozen=True, slots=True)
class Outside:
    """What URLs under way need from the world. None: not set up."""

    registries: Registries
    names: Names
    eyes: Eyes | None
    relay: Relay | None
    mailbox: Mailbox | None
    folder: DryFolder | None
    desks: Mapping[str, AbuseDesk] = field(default_factory=dict)
    record: PublicRecord | None = None
    is_head: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class FollowUp:
    """URLs under way: use cases and timers."""

    do: UnderWay
    hosts: Places  # for their resolution, by job and by timer
    timers: list[Timer]


def under_way(
    on: Stores, outside: Outside, sending: Sending, clock: Clock, way: RightOfWay, reader: UrlReader
) -> UnderWay:
    """The use cases of URLs under way on these ports."""

    def count_notice(stage: str, channel: str, outcome: str) -> None:
        metrics.NOTICES.labels(stage, channel, outcome).inc()

    def count_inbound(kind: str) -> None:
        metrics.INBOUND.labels(kind).inc()

    def met_a_defect(error: Exception) -> None:
        metrics.POISONED.inc()
        log.error("URLs under way met a defect", exc_info=error)

    def csam_waits(report_id: UUID) -> None:
        log.warning("a report for the authorities waits for a person", report_id=str(report_id))

    def count_creator_mail(outcome: str) -> None:
        metrics.CREATOR_MAILS.labels(outcome).inc()

    def count_check(verdict: str) -> None:
        metrics.CHECKS.labels(verdict).inc()

    def count_copy(outcome: str) -> None:
        metrics.LUMEN_COPIES.labels(outcome).inc()

    progress = on.progress
    give_back = GiveBack(progress, on.refunds, met_a_defect)
    return UnderWay(
        check_urls=None
        if outside.eyes is None
        else CheckUrls(
            progress,
            outside.eyes,
            clock,
            random.random,
            count_check,
            metrics.REMOVAL_HOURS.observe,
            outside.is_head,
            outside.sleep,
        ),
        choose_sharing=ChooseSharing(on.shared_notices, clock),
        manage_takedowns=ManageTakedowns(on.takedowns, progress, on.refunds, clock),
        plan_notices=PlanNotices(
            progress,
            give_back,
            sending,
            outside.folder,
            outside.desks,
            clock,
            metrics.BLOCKED.inc,
            count_notice,
            met_a_defect,
        ),
        read_mail=None
        if outside.mailbox is None
        else ReadMail(progress, outside.mailbox, sending.tokens, clock, count_inbound, metrics.BOUNCES.inc),
        report_csam=Report(on.csam_reports, on.refunds, progress, reader, clock, csam_waits),
        resolve_host=ResolveHost(progress, outside.registries, outside.names, clock, met_a_defect),
        send_notice=SendNotice(
            progress,
            give_back,
            outside.relay,
            outside.desks,
            sending,
            clock,
            count_notice,
            metrics.BLOCKED.inc,
            can_share=outside.record is not None,
        ),
        share_notices=None
        if outside.record is None
        else ShareNotices(on.shared_notices, outside.record, sending.agent.name, clock, count_copy),
        start_urls=StartUrls(progress, clock, way),
        tell_creators=TellCreators(on.creator_mails, outside.relay, outside.folder, sending, clock, count_creator_mail),
    )


async def _follow_up(
    process: Process,
    settings: TakedownsSettings,
    db: Database,
    on: Stores,
    clock: Clock,
    reader: UrlReader,
    way: RightOfWay,
) -> FollowUp:
    """Wire what happens to URLs after they were accepted."""
    sending = settings.sending()
    if not settings.notice_legal_reviewed_by:
        log.warning("nobody has reviewed the wording of notices", setting="FANGATE_NOTICE_LEGAL_REVIEWED_BY")
    agent = f"fangate/1.0 (removal checks; {sending.agent.email})"
    pages = await process.closing(await GuardedClient.open(user_agent=agent, admit=_admitting(reader)))
    registries = await process.closing(await GuardedClient.open(user_agent=agent))
    bootstrap = Bootstrap.shipped(clock)
    desks = (
        {} if sending.is_dry else {name: await process.closing(desk) for name, desk in (await settings.desks()).items()}
    )
    lumen = None if sending.is_dry else await settings.lumen()
    if lumen is not None:
        await process.closing(lumen)
    smtp = None if sending.is_dry else await process.closing(settings.relay())
    outside = Outside(
        registries=Rdap(registries, bootstrap, clock),
        names=SystemNames(),
        eyes=None if settings.verify_mode == "off" else PageEyes(pages, clock),
        relay=smtp,
        mailbox=settings.mailbox(),
        folder=MailFolder(Path(settings.notice_mail_dir)) if settings.notice_mail_dir else None,
        desks=desks,
        record=lumen,
        is_head=settings.verify_mode == "head",
    )
    do = under_way(on, outside, sending, clock, way, reader)
    shipped = shipped_hosts()

    async def enqueue_notices() -> int:
        now = clock.now()
        return len(await on.progress.claim_notices(now=now, until=now + CLAIMED_FOR, limit=NOTICES_PER_TURN))

    async def hosts_to_resolve() -> Sequence[int]:
        return await on.progress.hosts_to_resolve(now=clock.now(), limit=HOSTS_PER_TURN)

    async def keep_directory() -> int:
        await put_shipped(db, shipped)
        now = clock.now()
        return sum(is_stale(entry, now) for entry in await on.progress.directory())

    async def refresh_bootstrap() -> int:
        if settings.env != "test":
            await bootstrap.refresh(registries)
        return len(bootstrap.old_files())

    async def oldest_due_s() -> float:
        states = PLANNED_STATES if outside.eyes is None else (*PLANNED_STATES, *LOOKED_AT_STATES)
        return await on.takedowns.oldest_due_s(states, now=clock.now())

    hosts = Places(HOSTS_AT_ONCE, patience_s=HOSTS_PATIENCE_SECONDS)
    due = follow_up_timers(do, hosts, way, enqueue_notices=enqueue_notices, hosts_to_resolve=hosts_to_resolve)
    upkeep = upkeep_timers(
        keep_directory=keep_directory,
        refresh_bootstrap=refresh_bootstrap,
        count_open_actions=on.takedowns.count_open_actions,
        count_csam_waiting=on.csam_reports.count_waiting,
        oldest_due_s=oldest_due_s,
    )
    return FollowUp(do, hosts, [*due, *upkeep])


def _admitting(reader: UrlReader) -> Callable[[str], str]:
    """The judge of every hop of a look: what would not be taken in is not gone to."""

    def admit(url: str) -> str:
        try:
            return reader.read(url).href
        except InvalidUrlError as exc:
            raise ValueError(exc.reason) from exc

    return admit
