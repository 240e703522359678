"""The three servers of a system that is to be broken: ours to crash, pause and start again on their ports and data, the
broker behind a proxy that breaks connections.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import ports, postgres
from deploy.local.children import Child
from deploy.local.profile import Profile
from deploy.local.programs import find_programs
from deploy.local.readiness import until_ready
from tests.support.own_broker import OwnBroker
from tests.support.proxies import TcpProxy
from tests.support.servers import OwnRedis


class OwnPostgres:
    """A durable cluster of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder / "postgres", folder / "postgres.log"
        (self._port,) = ports.pick(1)
        self._env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self._child: Child | None = None

    @property
    def dsn(self) -> str:
        return postgres.admin_dsn(self._port)

    async def start(self) -> None:
        """Start it on the data it has (recovering them after a crash), or on new ones."""
        programs = find_programs()
        await postgres.initialize(programs, self._folder, env=self._env, log=self._log)
        child = postgres.spawn(programs, self._folder, self._port, env=self._env, log=self._log, is_durable=True)
        self._child = child
        await until_ready(child, lambda: postgres.check(self._port, self._folder))

    async def crash(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, no good-bye."""
        assert self._child is not None
        await self._child.stop(signal.SIGQUIT, grace_s=10)

    async def remove(self) -> None:
        if self._child is not None:
            await self._child.stop(signal.SIGINT, grace_s=10)
        postgres.remove(self._folder)


@dataclass(frozen=True, slots=True)
class FaultServers:
    """Running servers, and the wire to the broker."""

    postgres: OwnPostgres
    redis: OwnRedis
    broker: OwnBroker
    wire: TcpProxy

    def settings(self) -> dict[str, str]:
        """What makes the launcher use them; services reach the broker by the wire only."""
        direct = self.broker.management_url
        return {
            "FANGATE_POSTGRES_DSN": self.postgres.dsn,
            "FANGATE_REDIS_URL": self.redis.url,
            "FANGATE_AMQP_URL": self.broker.url("admin", port=self.wire.port),
            "FANGATE_MANAGEMENT_URL": direct,
        }

    def without_wire(self, amqp_url: str, *, user: str = "") -> str:
        """A login's URL straight at the broker; with `user`, the administrator's in the same virtual host."""
        parts = urlsplit(amqp_url)
        login = parts.netloc.rpartition("@")[0]
        if user:
            login = urlsplit(self.broker.url(user)).netloc.rpartition("@")[0]
        return f"amqp://{login}@127.0.0.1:{self.broker.amqp_port}{parts.path}"


@contextlib.asynccontextmanager
async def fault_servers(run: Path) -> AsyncIterator[FaultServers]:
    """Start them with their data in `run/servers`; they are gone afterwards."""
    for folder in run.parent.glob("faults-*"):  # of runs that were killed; their processes died with them
        if folder != run and not Profile("servers", run=folder).is_held:
            shutil.rmtree(folder, ignore_errors=True)
    profile = Profile("servers", run=run)
    (redis_port,) = ports.pick(1)
    own_postgres, own_redis = OwnPostgres(profile.folder), OwnRedis(profile.folder / "redis", redis_port)
    broker = OwnBroker(profile.folder)
    wire = TcpProxy("127.0.0.1", broker.amqp_port)
    async with contextlib.AsyncExitStack() as ends:
        profile.open()
        ends.callback(profile.close)
        ends.push_async_callback(own_postgres.remove)
        await own_postgres.start()
        ends.push_async_callback(own_redis.kill)
        await own_redis.start()
        ends.push_async_callback(broker.stop)
        await broker.start()
        await wire.start()
        ends.push_async_callback(wire.close)
        yield FaultServers(own_postgres, own_redis, broker, wire)
