"""The three private servers of a profile, started side by side, proven to be ours, stopped without a trace."""

import asyncio
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from deploy.local import ports, postgres, rabbitmq, redis_server
from deploy.local.children import Child, ChildFailedError
from deploy.local.profile import Profile
from deploy.local.programs import Programs, find_programs
from deploy.local.readiness import NotOursError, until_ready

_TRIES: Final = 3
_CLASH: Final = ("in use", "eaddrinuse", "belongs to")  # how servers, and our own checks, say that a port is taken
_STOP_SECONDS: Final = 10.0


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the servers are, for an administrator of theirs."""

    postgres_dsn: str
    redis_url: str
    amqp_url: str
    management_url: str


class Servers(Protocol):
    """Servers of a profile, private or given."""

    endpoints: Endpoints
    children: list[Child]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class PrivateServers:
    """PostgreSQL, Redis and RabbitMQ of ours in the profile's folder.

    Durable ones keep their data and are stopped with care; the others are fast, and simply go.
    """

    endpoints: Endpoints

    def __init__(self, profile: Profile, *, is_durable: bool, programs: Programs | None = None) -> None:
        self._profile, self._is_durable = profile, is_durable
        self._programs = programs or find_programs()
        self.children: list[Child] = []
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(profile.folder),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    async def start(self) -> None:
        """All three in parallel. Raises ChildFailedError with the end of the log of the one that failed; none is left then."""
        try:
            async with asyncio.TaskGroup() as group:
                dsn = group.create_task(self._again_on_a_clash(self._postgres))
                redis_url = group.create_task(self._again_on_a_clash(self._redis))
                broker = group.create_task(self._again_on_a_clash(self._rabbitmq))
        except BaseException as exc:
            await self.stop()
            if isinstance(exc, BaseExceptionGroup):
                raise exc.exceptions[0] from None
            raise
        amqp_url, management_url = broker.result()
        self.endpoints = Endpoints(
            postgres_dsn=dsn.result(), redis_url=redis_url.result(), amqp_url=amqp_url, management_url=management_url
        )

    async def stop(self) -> None:
        """Stop what runs, all at once; killed if it takes longer than 10 s."""
        # A broker takes seconds to leave in good order; without data to keep that is a waste.
        how = {"postgres": signal.SIGINT, "rabbitmq": signal.SIGTERM if self._is_durable else signal.SIGKILL}
        await asyncio.gather(
            *(child.stop(how.get(child.name, signal.SIGTERM), grace_s=_STOP_SECONDS) for child in self.children)
        )
        self.children.clear()

    def remove(self) -> None:
        """Delete the data of stopped servers, wherever they keep it."""
        postgres.remove(self._profile.folder / "postgres")
        self._profile.remove()

    async def _postgres(self) -> str:
        folder, log = self._profile.folder / "postgres", self._log("postgres")
        await postgres.initialize(self._programs, folder, env=self._env, log=log, is_durable=self._is_durable)
        ports_used = self._ports("postgres")
        port = ports_used["postgres"]
        child = postgres.spawn(self._programs, folder, port, env=self._env, log=log, is_durable=self._is_durable)
        await self._adopt(child, lambda: postgres.check(port, folder), ports_used)
        return postgres.admin_dsn(port)

    async def _redis(self) -> str:
        ports_used = self._ports("redis")
        port = ports_used["redis"]
        child = redis_server.spawn(
            self._programs, self._profile.folder / "redis", port, env=self._env, log=self._log("redis")
        )
        await self._adopt(child, lambda: redis_server.check(port, child.pid), ports_used)
        return f"redis://127.0.0.1:{port}/0"

    async def _rabbitmq(self) -> tuple[str, str]:
        folder, path, log = self._profile.folder / "rabbitmq", self._env["PATH"], self._log("rabbitmq")
        rabbitmq.prepare(folder)
        used = self._ports(*rabbitmq.PORTS)
        password, nonce = self._profile.secret("rabbitmq_admin"), secrets.token_hex(8)
        epmd = rabbitmq.spawn_epmd(self._programs, folder, used, path=path, log=log)
        await self._adopt(epmd, lambda: rabbitmq.listens(used["epmd"]), {})
        node = rabbitmq.spawn(self._programs, folder, used, password=password, nonce=nonce, path=path, log=log)
        try:
            await self._adopt(node, lambda: rabbitmq.check(used, password, nonce), used)
        except ChildFailedError:
            self.children.remove(epmd)
            await epmd.stop(grace_s=1.0)
            raise
        rabbitmq.mark_whole(folder)
        amqp_url = rabbitmq.amqp_url(used["amqp"], rabbitmq.ADMIN, password)
        return amqp_url, rabbitmq.management_url(used["management"], password)

    def _ports(self, *names: str) -> dict[str, int]:
        """Free ports by name, the ones of the last start first."""
        known = self._profile.ports()
        picked = ports.pick(len(names), wanted=[known[name] for name in names if name in known])
        return dict(zip(names, picked, strict=True))

    async def _adopt(self, child: Child, check: Callable[[], Awaitable[None]], ports_used: dict[str, int]) -> None:
        """Wait until a child is ready and proven; if it is not, it is gone. Raises ChildFailedError."""
        self.children.append(child)
        try:
            await until_ready(child, check)
        except (ChildFailedError, NotOursError) as exc:
            self.children.remove(child)
            await child.stop(signal.SIGKILL, grace_s=1.0)
            raise ChildFailedError(str(exc)) from exc
        self._profile.remember_ports(**ports_used)

    async def _again_on_a_clash(self, start: Callable[[], Awaitable[T]]) -> T:
        # A port may be taken between our look and the server's bind: look again, and start again.
        for _ in range(_TRIES - 1):
            try:
                return await start()
            except ChildFailedError as exc:
                if not any(word in str(exc).lower() for word in _CLASH):
                    raise
        return await start()

    def _log(self, name: str) -> Path:
        return self._profile.folder / "log" / f"{name}.log"
