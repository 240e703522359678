"""What every service behind the bus is made of: its schema, its place on the bus, and the outbox between the two.

A service's `app.py` opens a `Worker`, wires its use cases to `db` and `outbox`, and lets it `serve`.
"""

from collections.abc import Sequence
from typing import Self

from libs.common.bus import Bus, Consumer
from libs.common.db.migrate import schema_is_current
from libs.common.db.outbox import Outbox
from libs.common.db.pool import IDLE_IN_TRANSACTION_SECONDS, Database
from libs.common.db.relay import Relay
from libs.common.errors import Unavailable
from libs.common.process import Process
from libs.common.settings import CommonSettings, Secret

CONNECTIONS_MAX = 10  # to Postgres, where a service asks for no other number


class WorkerSettings(CommonSettings, frozen=True, kw_only=True):
    """What every worker reads beside the common settings."""

    postgres_dsn: Secret
    amqp_url: Secret
    bus_reply: str = "direct"  # direct | queue


class Worker:
    """A connected service. Make one with `open`."""

    def __init__(self, process: Process, settings: WorkerSettings, db: Database, bus: Bus) -> None:
        self._process = process
        self._settings = settings
        self.db = db
        self.bus = bus
        self.outbox = Outbox()
        self._relay = Relay(db, bus.publisher, self.outbox)

    @classmethod
    async def open(
        cls,
        process: Process,
        settings: WorkerSettings,
        *,
        connections_max: int = CONNECTIONS_MAX,
        idle_in_transaction_s: int = IDLE_IN_TRANSACTION_SECONDS,
    ) -> Self:
        """Connect to Postgres and RabbitMQ, waiting for both; the process closes them. Raises DatabaseAway, BusError."""
        service = process.service
        db = await process.closing(
            await Database.connect(
                settings.postgres_dsn.reveal(), schema=service, name=service, size_max=connections_max,
                idle_in_transaction_s=idle_in_transaction_s,
            )
        )  # fmt: skip
        bus = await Bus.connect(settings.amqp_url.reveal(), service=service, reply=settings.bus_reply)
        return cls(process, settings, db, await process.closing(bus))

    async def serve(self, consumers: Sequence[Consumer]) -> None:
        """Be ready while schema, database and bus are; consume; publish what is committed; drain in that order."""
        process = self._process
        process.ready_when("postgres", self.db.ping)
        process.ready_when("schema", self._check_schema)
        process.ready_when("bus", self.bus.check)
        process.start("bus", self.bus.run())
        process.start("relay", self._relay.run())
        await self.bus.start(consumers)
        process.on_drain("bus", self._drain_bus)
        # After the handlers ended: what they wrote leaves with them.
        process.on_drain("outbox", self._drain_outbox)

    async def _check_schema(self) -> None:
        if not await schema_is_current(self.db, self._process.service):
            raise Unavailable(detail="migrations are missing: python -m libs.common.db.migrate")

    async def _drain_bus(self) -> None:
        await self.bus.drain(self._settings.drain_seconds)

    async def _drain_outbox(self) -> None:
        await self._relay.flush()


async def announce(db: Database, outbox: Outbox, amqp_url: Secret, *, service: str) -> None:
    """For a command line: take to the bus what it committed, if anything. What does not get there stays in the outbox for
    the running service. Raises BusError, DatabaseAway.
    """
    if not outbox.wake.is_set():
        return
    bus = await Bus.connect(amqp_url.reveal(), service=service)
    try:
        await Relay(db, bus.publisher, outbox).flush()
    finally:
        await bus.close()
