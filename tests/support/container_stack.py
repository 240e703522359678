"""The system in containers as tests see it: what is promised of `make run` is shown of compose by the same tests.

`make docker-verify` starts it and says in the environment where it is. Addresses inside its network are this host's too.
"""

import asyncio
import os
import signal
import time
from typing import Any

from deploy.compose.secrets import OWNER
from deploy.compose.system import DESCRIBED, Containers
from deploy.local.profile import ROOT, Profile
from deploy.system import SERVICES
from tests.support.stack import LOOK_SECONDS, START_SECONDS_MAX, Stack

ADMIN_PORT = 9090
SANDBOX_PORT = 8090


class ContainerStack(Stack):
    """A running Compose project on a daemon of this host. Only root may signal what is in it."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._profile = Profile("compose-tests")  # it has no processes of ours
        self.run = ROOT / ".run"
        self.url = containers.base_url
        self.demo: dict[str, str] = {}
        self.names = None
        self.sandbox_url = f"http://{containers.address('sandbox')}:{SANDBOX_PORT}"
        self.admin_urls: dict[str, str] = {}
        postgres, password = containers.address("postgres"), containers.secret("postgres_password")
        billing = containers.secret("postgres_dsn_billing").replace("@postgres:", f"@{postgres}:")
        self.env = {
            "FANGATE_POSTGRES_DSN_MIGRATE": f"postgresql://{OWNER}:{password}@{postgres}:5432/{OWNER}",
            "FANGATE_POSTGRES_DSN_BILLING": billing,
            "FANGATE_REDIS_URL": f"redis://{containers.address('redis')}:6379/0",
        }

    async def cli(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        return await self._containers.run(service, *arguments, stdin=stdin)

    async def until_ready(self) -> None:
        """As the health checks say it; what was started again may have another address."""
        end = time.monotonic() + START_SECONDS_MAX
        while any(self._containers.process(service.name) == 0 for service in SERVICES):
            assert time.monotonic() < end
            await asyncio.sleep(LOOK_SECONDS)
        names = [service.name for service in SERVICES]
        self.admin_urls = {name: f"http://{self._containers.address(name)}:{ADMIN_PORT}" for name in names}
        await super().until_ready()

    def send(self, service: str, number: signal.Signals) -> None:
        # Past the daemon: what it is told to kill it does not start again.
        process = self._containers.process(service)
        assert process, f"{service} does not run"
        os.kill(process, number)


def described_stack() -> ContainerStack | None:
    """The project that the environment tells of, if it does."""
    text = os.environ.get(DESCRIBED)
    return None if text is None else ContainerStack(Containers.described(text))
