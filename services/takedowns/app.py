"""The composition root of takedowns: every object is built here, once, in order."""

from libs.common.bus import Bus
from libs.common.db.migrate import schema_is_current
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import Relay
from libs.common.errors import Unavailable
from libs.common.process import Process
from libs.common.settings import load
from services.takedowns.entry.timers import timers
from services.takedowns.settings import TakedownsSettings
from services.takedowns.store.partitions import keep_checks

SERVICE = "takedowns"
CONNECTIONS_MAX = 20  # to Postgres: submissions hold one each while they are stored; calls and timers share the rest


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(TakedownsSettings, service=SERVICE)
    dsn = settings.postgres_dsn.reveal()
    db = await process.closing(await Database.connect(dsn, schema=SERVICE, name=SERVICE, size_max=CONNECTIONS_MAX))
    bus = await process.closing(
        await Bus.connect(settings.amqp_url.reveal(), service=SERVICE, reply=settings.bus_reply)
    )
    outbox = Outbox()
    relay = Relay(db, bus.publisher, outbox)

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
    for timer in timers(keep_checks=keep_months):
        process.start(timer.name, timer.run())
    process.on_drain("bus", drain_bus)
    # After the handlers ended: what they wrote leaves with them.
    process.on_drain("outbox", drain_outbox)
