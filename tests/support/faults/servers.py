"""The three servers of a system that is to be broken: ours to crash, pause and start again on their ports and data, each
behind a proxy that breaks connections.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import ports, postgres
from deploy.local.profile import Profile
from tests.support.faults.own_postgres import OwnPostgres
from tests.support.own_broker import OwnBroker
from tests.support.proxies import TcpProxy
from tests.support.servers import OwnRedis, sweep


@dataclass(frozen=True, slots=True)
class FaultServers:
    """Running servers, and the wires to them."""

    postgres: OwnPostgres
    redis: OwnRedis
    broker: OwnBroker
    postgres_wire: TcpProxy
    redis_wire: TcpProxy
    broker_wire: TcpProxy

    def settings(self) -> dict[str, str]:
        """What makes the launcher use them; services reach them by the wires only."""
        return {
            "FANGATE_POSTGRES_DSN": postgres.admin_dsn(self.postgres_wire.port),
            "FANGATE_REDIS_URL": f"redis://127.0.0.1:{self.redis_wire.port}/0",
            "FANGATE_AMQP_URL": self.broker.url("admin", port=self.broker_wire.port),
            "FANGATE_MANAGEMENT_URL": self.broker.management_url,
        }

    def without_wire(self, amqp_url: str, *, user: str = "") -> str:
        """A login's URL straight at the broker; with `user`, the administrator's in the same virtual host."""
        parts = urlsplit(amqp_url)
        login = parts.netloc.rpartition("@")[0]
        if user:
            login = urlsplit(self.broker.url(user)).netloc.rpartition("@")[0]
        return f"amqp://{login}@127.0.0.1:{self.broker.amqp_port}{parts.path}"


@contextlib.asynccontextmanager
async def fault_servers(run: Path, *, postgres_kind: type[OwnPostgres] = OwnPostgres) -> AsyncIterator[FaultServers]:
    """Start them with their data in `run/servers`; they are gone afterwards."""
    sweep("faults", run.parent)
    profile = Profile("servers", run=run)
    (redis_port,) = ports.pick(1)
    own_postgres, own_redis = postgres_kind(profile.folder), OwnRedis(profile.folder / "redis", redis_port)
    broker = OwnBroker(profile.folder)
    async with contextlib.AsyncExitStack() as ends:
        profile.open()
        ends.callback(profile.close)
        ends.push_async_callback(own_postgres.remove)
        await own_postgres.start()
        ends.push_async_callback(own_redis.kill)
        await own_redis.start()
        ends.push_async_callback(broker.stop)
        await broker.start()
        wires = [TcpProxy("127.0.0.1", port) for port in (own_postgres.port, redis_port, broker.amqp_port)]
        for wire in wires:
            await wire.start()
            ends.push_async_callback(wire.close)
        yield FaultServers(own_postgres, own_redis, broker, *wires)
