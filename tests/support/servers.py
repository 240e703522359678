"""PostgreSQL, Redis and RabbitMQ for tests: private ones of this pytest run (or given ones), and on them a database, a
virtual host and a Redis index of each test's own.

The library is imported where it is used: unit tests load this module through the fixtures, and pay for none of it.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis.asyncio

from deploy.local import ports, postgres, redis_server
from deploy.local.children import Child, started_at
from deploy.local.given import GivenServers, given_endpoints
from deploy.local.management import Management
from deploy.local.profile import RUN, Profile
from deploy.local.programs import find_programs
from deploy.local.readiness import until_ready
from deploy.local.servers import Endpoints, PrivateServers

PASSWORD: Final = "test-only"  # of every login that tests make


@dataclass(slots=True)
class Servers:
    """The servers of this run, for an administrator. `origin` says where they come from."""

    postgres_admin_dsn: str
    redis_url: str
    amqp_admin_url: str
    management_url: str
    origin: str
    prefix: str  # of everything this run creates on them
    _count: Iterator[int] = field(default_factory=itertools.count)

    def name(self) -> str:
        """A name that nothing else on these servers has."""
        return f"{self.prefix}_{next(self._count)}"

    @property
    def template(self) -> str:
        """The migrated database that tests' databases are copies of."""
        return f"{self.prefix}_migrated"


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """A migrated database of one test's own."""

    __test__: ClassVar = False
    name: str
    admin_dsn: str

    def dsn(self, service: str) -> str:
        """The DSN of the service's own login."""
        return _with_login(self.admin_dsn, f"{service}_app")


@dataclass(frozen=True, slots=True)
class TestBroker:
    """A virtual host of one test's own with the whole topology in it."""

    __test__: ClassVar = False
    vhost: str
    admin_url: str
    management: Management

    def url(self, service: str) -> str:
        """The AMQP URL of the service's own login."""
        return _with_login(self.admin_url, service)


class OwnRedis:
    """A Redis of one test's own, to be flushed, stopped and killed at will."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.port = folder, port
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it, empty, on the port it has had from the beginning."""
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder)}
        log = self._folder / "redis.log"
        child = redis_server.spawn(find_programs(), self._folder, self.port, env=env, log=log)
        self._child = child
        await until_ready(child, lambda: redis_server.check(self.port, child.pid))

    async def stop(self) -> None:
        """An orderly end."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Kill it and start it again, empty and with a new run id."""
        await self.kill()
        await self.start()

    async def promote_replica(self, *, behind_s: float) -> None:
        """A replica that has heard nothing for `behind_s` takes over, and the primary dies. `port` is its from then on."""
        (port,) = ports.pick(1)
        replica = OwnRedis(self._folder.with_name(f"{self._folder.name}-{port}"), port)
        await replica.start()
        client = redis.asyncio.Redis.from_url(replica.url)
        try:
            await client.replicaof("127.0.0.1", str(self.port))
            async with asyncio.timeout(10):
                while (await client.info("replication"))["master_link_status"] != "up":
                    await asyncio.sleep(0.05)
            await client.replicaof("NO", "ONE")
        finally:
            await client.aclose()
        await asyncio.sleep(behind_s)
        await self.kill()
        self._folder, self.port, self._child = replica._folder, port, replica._child

    async def pause(self) -> None:
        """Stop answering without closing anything, until `resume`."""
        assert self._child is not None
        self._child.send(signal.SIGSTOP)

    async def resume(self) -> None:
        assert self._child is not None
        self._child.send(signal.SIGCONT)

    async def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(signal.SIGCONT)
            await self._child.stop(number, grace_s=5.0)
            self._child = None


@contextlib.contextmanager
def running_servers() -> Iterator[Servers]:
    """Start the servers of a test run and migrate the template; all of it is gone afterwards."""
    sweep("test")
    chosen = os.environ.get("FANGATE_SERVERS", "native")
    if chosen not in {"native", "docker"}:
        raise RuntimeError(f"FANGATE_SERVERS: `native` or `docker`, not `{chosen}`")
    if chosen == "docker":
        from tests.support.container_servers import container_endpoints

        with container_endpoints() as endpoints, _servers_of_others(endpoints, "servers in containers") as servers:
            yield servers
        return
    given = given_endpoints()
    if given is not None:
        with _servers_of_others(given, "given servers") as servers:
            yield servers
        return
    with asyncio.Runner() as runner:
        profile = Profile(f"test-{os.getpid()}")
        profile.open()
        ours = PrivateServers(profile, is_durable=False)
        try:
            runner.run(ours.start())
            profile.remember_processes((child.name, child.identity) for child in ours.children)
            servers = _servers(ours.endpoints, f"private servers in .run/{profile.name}")
            runner.run(_make_template(servers))
            yield servers
        finally:
            runner.run(ours.stop())
            profile.close()
            ours.remove()


@contextlib.contextmanager
def _servers_of_others(endpoints: Endpoints, origin: str) -> Iterator[Servers]:
    """On servers that we do not stop: what this run makes on them is dropped."""
    with asyncio.Runner() as runner:
        runner.run(GivenServers(endpoints).start())
        servers = _servers(endpoints, origin)
        try:
            runner.run(_make_template(servers))
            yield servers
        finally:
            runner.run(_drop_database(servers, servers.template))


def sweep(kind: str, run: Path = RUN) -> None:
    """Remove the folders `<kind>-<pid>…` of test runs that were killed. What they had started died with them."""
    for folder in run.glob(f"{kind}-*"):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and started_at(int(pid)) == "":
            postgres.remove(folder / "postgres")  # wherever its data lies
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def a_database(servers: Servers) -> AsyncIterator[TestDatabase]:
    """A copy of the template."""
    name = servers.name()
    # Copying files is half the work of copying blocks through the log, but waits for the disk where writes are durable.
    strategy = "FILE_COPY" if servers.origin.startswith("private") else "WAL_LOG"
    admin = await asyncpg.connect(servers.postgres_admin_dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {servers.template} STRATEGY {strategy}")
    finally:
        await admin.close()
    try:
        yield TestDatabase(name=name, admin_dsn=_with_path(servers.postgres_admin_dsn, name))
    finally:
        await _drop_database(servers, name)


@contextlib.asynccontextmanager
async def a_broker(servers: Servers) -> AsyncIterator[TestBroker]:
    """A virtual host with exchanges, queues, policies, logins and rights as in production."""
    from libs.common.bus.topology import USERS, definitions

    vhost = servers.name()
    management = Management(servers.management_url)
    await management.create_vhost(vhost)
    try:
        await management.import_definitions(definitions(vhost, users=dict.fromkeys(USERS, PASSWORD)))
        yield TestBroker(vhost=vhost, admin_url=_with_path(servers.amqp_admin_url, vhost), management=management)
    finally:
        await management.delete_vhost(vhost)


@contextlib.asynccontextmanager
async def a_redis_index(servers: Servers) -> AsyncIterator[str]:
    """The URL of an empty database index. On given servers only one that was empty before."""
    is_ours = servers.origin.startswith("private")
    for _ in range(redis_server.DATABASES):
        number = int(servers.name().rpartition("_")[2]) % (redis_server.DATABASES if is_ours else 16)
        url = _with_path(servers.redis_url, str(number))
        client = redis.asyncio.Redis.from_url(url)
        try:
            if is_ours:
                await client.flushdb()
            elif await client.dbsize():
                continue
            yield url
            await client.flushdb()
            return
        finally:
            await client.aclose()
    raise RuntimeError("FANGATE_REDIS_URL: every database index holds something; tests need an empty one")


def _servers(endpoints: Endpoints, origin: str) -> Servers:
    return Servers(
        postgres_admin_dsn=endpoints.postgres_dsn, redis_url=endpoints.redis_url, amqp_admin_url=endpoints.amqp_url,
        management_url=endpoints.management_url, origin=origin, prefix=f"t_{os.getpid()}",
    )  # fmt: skip


async def _make_template(servers: Servers) -> None:
    from libs.common.db.migrate import migrate, services_with_migrations

    admin = await asyncpg.connect(servers.postgres_admin_dsn)
    try:
        await admin.execute(f"CREATE DATABASE {servers.template}")
    finally:
        await admin.close()
    dsn = _with_path(servers.postgres_admin_dsn, servers.template)
    # The logins' password comes from the services' own DSNs, as in production.
    variables = {
        f"FANGATE_POSTGRES_DSN_{service.upper()}": _with_login(dsn, f"{service}_app")
        for service in services_with_migrations()
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        await migrate(dsn)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


async def _drop_database(servers: Servers, name: str) -> None:
    admin = await asyncpg.connect(servers.postgres_admin_dsn)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await admin.close()


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def _with_login(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))
