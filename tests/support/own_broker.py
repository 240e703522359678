"""A RabbitMQ of one test's own, to be restarted, killed and alarmed."""

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Final

from deploy.local import ports, rabbitmq
from deploy.local.children import Child
from deploy.local.management import Management
from deploy.local.programs import find_programs
from deploy.local.readiness import until_ready
from libs.common.bus.topology import USERS, definitions

PASSWORD: Final = "test-only"


class OwnBroker:
    """One node with the whole topology in its vhost `/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "rabbitmq"
        self._log = folder / "rabbitmq.log"
        self._path = os.environ.get("PATH", os.defpath)
        self._programs = find_programs()
        self._ports = dict(zip(rabbitmq.PORTS, ports.pick(len(rabbitmq.PORTS)), strict=True))
        self._children: list[Child] = []

    @property
    def amqp_port(self) -> int:
        return self._ports["amqp"]

    def url(self, service: str, *, port: int | None = None) -> str:
        """A login's URL, at the node or at a proxy in front of it."""
        return rabbitmq.amqp_url(port or self.amqp_port, service, PASSWORD)

    @property
    def management_url(self) -> str:
        return rabbitmq.management_url(self._ports["management"], PASSWORD)

    @property
    def management(self) -> Management:
        return Management(self.management_url)

    async def start(self) -> None:
        """The first start, with the definitions."""
        rabbitmq.prepare(self._folder)
        epmd = rabbitmq.spawn_epmd(self._programs, self._folder, self._ports, path=self._path, log=self._log)
        self._children.append(epmd)
        await until_ready(epmd, lambda: rabbitmq.listens(self._ports["epmd"]))
        await self.start_node()
        rabbitmq.mark_whole(self._folder)
        await self.management.import_definitions(definitions(users=dict.fromkeys(USERS, PASSWORD)))

    async def start_node(self) -> None:
        """Start the node, with the data it had."""
        nonce = secrets.token_hex(8)
        node = rabbitmq.spawn(
            self._programs, self._folder, self._ports, password=PASSWORD, nonce=nonce, path=self._path, log=self._log
        )
        self._children.append(node)
        await until_ready(node, lambda: rabbitmq.check(self._ports, PASSWORD, nonce))

    async def kill_node(self) -> None:
        """SIGKILL; its data stay."""
        await self._children.pop().stop(signal.SIGKILL, grace_s=10)

    async def stop(self) -> None:
        """The end."""
        while self._children:
            await self._children.pop().stop(signal.SIGKILL, grace_s=10)

    async def alarm(self, *, on: bool) -> None:
        """Raise or clear the memory alarm."""
        limit = "1" if on else "512MB"
        program = Path(self._programs.rabbitmq_server).with_name("rabbitmqctl")
        environment = rabbitmq.environment(self._folder, self._ports, self._path)
        environment.pop("RABBITMQ_SERVER_START_ARGS")
        control = await asyncio.create_subprocess_exec(
            program, "set_vm_memory_high_watermark", "absolute", limit, env=environment, stdout=asyncio.subprocess.DEVNULL,
            stderr=sys.stderr,
        )  # fmt: skip
        assert await control.wait() == 0
