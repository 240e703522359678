"""The composition root of takedowns: every object is built here, once, in order."""

from dataclasses import dataclass

from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.db.migrate import schema_is_current
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import Relay
from libs.common.errors import Unavailable
from libs.common.process import Process
from libs.common.settings import load
from services.takedowns.domain.url import UrlReader
from services.takedowns.entry.consumers import consumers
from services.takedowns.entry.timers import timers
from services.takedowns.gateways.billing import BillingCredits, Rpc
from services.takedowns.settings import TakedownsSettings
from services.takedowns.store.batches import PostgresBatches
from services.takedowns.store.creators import PostgresCreators
from services.takedowns.store.partitions import keep_checks
from services.takedowns.store.refunds import PostgresRefunds
from services.takedowns.store.submissions import PostgresSubmissions
from services.takedowns.usecases import UseCases
from services.takedowns.usecases.forget_creator import ForgetCreator, PurgeCreators
from services.takedowns.usecases.manage_creators import ManageCreators
from services.takedowns.usecases.read_batches import ReadBatches
from services.takedowns.usecases.refund_urls import RefundUrls, SendRefunds
from services.takedowns.usecases.register_creators import RegisterCreators
from services.takedowns.usecases.settle_batches import SettleBatches
from services.takedowns.usecases.store_batch import StoreBatch
from services.takedowns.usecases.submit_urls import SubmitUrls

SERVICE = "takedowns"
CONNECTIONS_MAX = 20  # to Postgres: submissions hold one each while they are stored; calls and timers share the rest


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything on Postgres."""

    batches: PostgresBatches
    creators: PostgresCreators
    refunds: PostgresRefunds
    submissions: PostgresSubmissions


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(TakedownsSettings, service=SERVICE)
    dsn = settings.postgres_dsn.reveal()
    db = await process.closing(await Database.connect(dsn, schema=SERVICE, name=SERVICE, size_max=CONNECTIONS_MAX))
    bus = await process.closing(
        await Bus.connect(settings.amqp_url.reveal(), service=SERVICE, reply=settings.bus_reply)
    )
    clock, outbox = SystemClock(), Outbox()
    relay = Relay(db, bus.publisher, outbox)
    on = stores(db, outbox)
    reader = UrlReader(settings.denied_hosts())
    do = use_cases(on, bus, clock, reader=reader, allows_test_domains=settings.env != "production")

    async def schema() -> None:
        if not await schema_is_current(db, SERVICE):
            raise Unavailable(detail="migrations are missing: python -m libs.common.db.migrate")

    async def keep_months() -> None:
        await keep_checks(db)

    async def drain_bus() -> None:
        await bus.drain(settings.drain_seconds)

    async def drain_outbox() -> None:
        await relay.flush()

    process.ready_when("postgres", db.ping)
    process.ready_when("schema", schema)
    process.ready_when("bus", bus.check)
    process.start("bus", bus.run())
    process.start("relay", relay.run())
    for timer in timers(
        do,
        count_leasing=on.submissions.count_leasing,
        forget_replies=on.submissions.forget_replies,
        keep_checks=keep_months,
    ):
        process.start(timer.name, timer.run())
    await bus.start(consumers(do))
    process.on_drain("bus", drain_bus)
    # After the handlers ended: what they wrote leaves with them.
    process.on_drain("outbox", drain_outbox)


def stores(db: Database, outbox: Outbox) -> Stores:
    """The stores on one pool."""
    return Stores(
        batches=PostgresBatches(db),
        creators=PostgresCreators(db, outbox),
        refunds=PostgresRefunds(db, outbox),
        submissions=PostgresSubmissions(db, outbox),
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
    )
