"""What is done to PostgreSQL and to the wire to it."""

import asyncio
from typing import Final

import asyncpg

from tests.support.faults.world import PAST_FENCE_S, Fault, Meanwhile, World

WITHOUT_POSTGRES: Final = ("billing", "fangate_check_failing", 'check="postgres"')


def postgres_away(seconds: float, meanwhile: Meanwhile, *, is_short: bool = False, is_long: bool = False) -> Fault:
    async def run(world: World) -> None:
        await world.servers.postgres.crash()
        await world.last(seconds)
        await world.servers.postgres.start()

    name = f"Postgres: immediate stop, away {seconds:g} s"
    return Fault(name, run, meanwhile, shows=WITHOUT_POSTGRES, is_short=is_short, is_long=is_long)


async def postgres_cut(world: World) -> None:
    """Every session of the services ends."""
    connection = await asyncpg.connect(world.servers.postgres.dsn)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    finally:
        await connection.close()
    await asyncio.sleep(0.5)


async def organizations_locked(world: World) -> None:
    """Somebody holds the rows that every debit and every lease needs."""
    connection = await asyncpg.connect(world.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM billing.orgs FOR UPDATE")
            await world.last(3.0)
    finally:
        await connection.close()


async def postgres_half_open(world: World) -> None:
    """The services' sessions end, and the server does not know."""
    world.servers.postgres_wire.cut_client_side()
    await asyncio.sleep(2.0)


async def postgres_silent(world: World) -> None:
    world.servers.postgres_wire.stall()
    try:
        await world.last(4.0)
    finally:
        world.servers.postgres_wire.flow()


async def disk_full(world: World) -> None:
    """Nothing can be written; what a full disk does to the server itself is its own affair."""
    own = world.servers.postgres
    own.fill_disk()
    try:
        await world.last(6.0)
    finally:
        await own.free_disk()


async def replica_promoted(world: World) -> None:
    """The primary dies and its synchronous replica takes over, under the address that the services know."""
    servers = world.servers
    await servers.postgres.promote_replica()
    servers.postgres_wire.redirect(servers.postgres.port)
    servers.postgres_wire.cut()
    await asyncio.sleep(1.0)


POSTGRES_FAULTS: Final = (
    postgres_away(3.0, Meanwhile.SERVED, is_short=True),
    postgres_away(PAST_FENCE_S, Meanwhile.EITHER, is_long=True),
    Fault("Postgres: sessions ended", postgres_cut),
    Fault("Postgres: money locked 3 s", organizations_locked, Meanwhile.SERVED),
    Fault("Postgres: half-open", postgres_half_open),
    Fault("Postgres: silent 4 s", postgres_silent, shows=WITHOUT_POSTGRES),
    Fault("Postgres: disk full 6 s", disk_full, needs=lambda world: world.servers.postgres.has_own_disk),
    Fault("Postgres: replica promoted", replica_promoted),
)
