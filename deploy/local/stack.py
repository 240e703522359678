"""The whole local system: servers, schema, topology, services, demo data, in this order; and all of it away again."""

import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local import ports
from deploy.local.children import Child, Identity, signal_if_alive, started_at
from deploy.local.environment import Environment, instances, number, service_of
from deploy.local.given import GivenServers, given_endpoints
from deploy.local.management import Management
from deploy.local.operators import close_desks
from deploy.local.profile import ROOT, Profile, write_private
from deploy.local.seed import Seed
from deploy.local.servers import PrivateServers, Servers
from deploy.local.services import Services, run_once
from libs.common.bus.topology import USERS, definitions

PORT: Final = 8080  # of the public edge, if nobody has it
ADMIN_PORT: Final = 9090  # of the first admin listener; the others follow
PORT_MAX: Final = 65_535
_LEFTOVER_LOOKS: Final = 200  # 10 s for what was killed to be gone
_MIGRATE_SECONDS_MAX: Final = 120.0


class Stack:
    """One start of the system in a profile. `say` is told each step, as a person would want to read it."""

    def __init__(self, profile: Profile, say: Callable[[str], None]) -> None:
        self._profile, self._say = profile, say
        self._servers: Servers | None = None
        self._services: Services | None = None
        self.environment: Environment | None = None
        self.seed: Seed | None = None
        self.demo: dict[str, str] = {}

    async def start(self) -> None:
        """Start everything; return when all is ready and seeded. Raises ChildFailedError, NoFreePortError, MissingProgramsError.

        Whatever happens, `stop` takes down what was started.
        """
        self._profile.remember(phase="starting", launcher=[os.getpid(), started_at(os.getpid())], url="", admin_urls="")
        await self._end_leftovers()
        started = time.monotonic()
        given = given_endpoints()
        servers: Servers = PrivateServers(self._profile, is_durable=True) if given is None else GivenServers(given)
        self._servers = servers
        try:
            await servers.start()
        finally:
            self._remember_processes()
        where = f"private, in .run/{self._profile.name}" if given is None else "given"
        self._said("PostgreSQL, Redis, RabbitMQ", started, where)

        # On given servers our database and virtual host carry the place of this checkout in their name.
        place = "fangate" if given is None else f"fangate_{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
        environment = self._make_environment(servers, place)
        self.environment = environment
        started = time.monotonic()
        database_id, _ = await asyncio.gather(self._migrate(servers, place), self._import_topology(servers, place))
        self._said("schema and topology", started)

        write_private(self._profile.run / "env", environment.text(_with_path(servers.endpoints.postgres_dsn, place)))
        services = Services(environment, self._log_folder(), say=self._say, changed=self._remember_processes)
        self._services = services
        started = time.monotonic()
        edges = [name for name in environment.admin_ports if service_of(name) == "edge"]
        await services.start([name for name in environment.admin_ports if name not in edges])
        await services.start(edges)
        self._said(", ".join(environment.admin_ports), started)

        started = time.monotonic()
        demo_env = self._profile.run / "demo.env"
        self.seed = Seed(environment, self._profile.folder, demo_env, database_id)
        try:
            self.demo = await self.seed.plant()
        finally:
            close_desks()
        self._said("demo organization", started)
        self._profile.remember(phase="ready", url=environment.base_url, admin_urls=environment.admin_urls)

    async def stop(self) -> None:
        """Drain and end everything, in reverse order."""
        has_started = bool(self._processes())
        if has_started:
            self._say("stopping: services drain first, then the servers; Ctrl-C again kills")
        self._profile.remember(phase="stopping")
        if self._services is not None:
            await self._services.stop()
        if self._servers is not None:
            await self._servers.stop()
        self._profile.remember(phase="stopped", processes=[], launcher=None)
        if has_started:
            self._say("stopped")

    def kill_all(self) -> None:
        """At once, without asking."""
        for child in self._processes():
            child.send(signal.SIGKILL, group=True)

    def _make_environment(self, servers: Servers, place: str) -> Environment:
        profile, endpoints = self._profile, servers.endpoints
        port = ports.next_free(number(os.environ, "FANGATE_PORT", default=PORT, largest=PORT_MAX))
        (sandbox_port,) = ports.pick(1, wanted=[profile.ports().get("sandbox", 0)])
        profile.remember_ports(sandbox=sandbox_port)
        first = number(os.environ, "FANGATE_ADMIN_PORT", default=ADMIN_PORT, largest=PORT_MAX)
        admin_ports: dict[str, int] = {}
        for name in instances(os.environ):
            admin_ports[name] = ports.next_free(first, taken=[port, *admin_ports.values()])

        def postgres_dsn(service: str) -> str:
            login = f"{service}_app:{profile.secret(f'postgres_{service}', bytes_count=16)}"
            return _with_path(_with_login(endpoints.postgres_dsn, login), place)

        def amqp_url(service: str) -> str:
            return _with_path(_with_login(endpoints.amqp_url, f"{service}:{self._broker_password(service)}"), place)

        return Environment(
            env="dev", postgres_dsn=postgres_dsn, amqp_url=amqp_url,
            redis_url=endpoints.redis_url, redis_prefix=f"{place}:",
            key_peppers=f"dev:{profile.secret('pepper')}", vault_keys=f"dev:{profile.secret('vault_key')}",
            form_keys=f"dev:{profile.secret('form_key')}", password_keys=f"dev:{profile.secret('password_key')}",
            webhook_keys=f"dev:{profile.secret('webhook_key')}", mail_dir=str(profile.folder / "mail"),
            fanvue_client=(profile.secret("fanvue_client_id", bytes_count=8), profile.secret("fanvue_client_secret")),
            port=port, sandbox_port=sandbox_port, admin_ports=admin_ports,
        )  # fmt: skip

    async def _migrate(self, servers: Servers, place: str) -> str:
        """Make and migrate the database; answer what tells it from any other, also after it was dropped and made again."""
        admin = await asyncpg.connect(servers.endpoints.postgres_dsn)
        try:
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", place):
                await admin.execute(f"CREATE DATABASE {place}")
            row = await admin.fetchrow(
                "SELECT system_identifier::text, oid::text FROM pg_control_system(), pg_database WHERE datname = $1",
                place,
            )
        finally:
            await admin.close()
        assert self.environment is not None
        env = self.environment.for_migration(_with_path(servers.endpoints.postgres_dsn, place))
        command = [sys.executable, "-m", "libs.common.db.migrate"]
        log = self._log_folder() / "migrate.log"
        await run_once("migrate", command, env=env, log=log, timeout_s=_MIGRATE_SECONDS_MAX)
        return "/".join(row)

    async def _import_topology(self, servers: Servers, place: str) -> None:
        management = Management(servers.endpoints.management_url)
        await management.create_vhost(place)
        passwords = {name: self._broker_password(name) for name in USERS}
        await management.import_definitions(definitions(place, users=passwords))

    def _broker_password(self, service: str) -> str:
        return self._profile.secret(f"rabbitmq_{service}", bytes_count=16)

    async def _end_leftovers(self) -> None:
        """End what a killed launcher left behind (where the kernel does not do it for us): proven to be ours, or left alone."""
        for _, identity in self._profile.processes():
            signal_if_alive(identity, signal.SIGKILL)
        for _ in range(_LEFTOVER_LOOKS):
            if not self._profile.processes():
                return
            await asyncio.sleep(0.05)

    def _remember_processes(self) -> None:
        self._profile.remember_processes((child.name, child.identity) for child in self._processes())

    def _processes(self) -> list[Child]:
        servers = [] if self._servers is None else self._servers.children
        services = [] if self._services is None else self._services.children
        return [*servers, *services]

    def _log_folder(self) -> Path:
        return self._profile.folder / "log"

    def _said(self, what: str, started: float, where: str = "") -> None:
        self._say(f"{time.monotonic() - started:5.1f} s  {what}{f' ({where})' if where else ''}")


def launcher_of(profile: Profile) -> Identity | None:
    """The process that holds the profile, as far as `state.json` tells."""
    launcher: Any = profile.state().get("launcher")
    return Identity(int(launcher[0]), str(launcher[1])) if launcher else None


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(path, safe='')}"))


def _with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))
