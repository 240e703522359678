"""The three servers in containers, for `FANGATE_SERVERS=docker`: by testcontainers, on whichever daemon DOCKER_HOST names."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Final

from deploy.docker.images import POSTGRES, RABBITMQ, VALKEY
from deploy.local.children import ChildFailedError
from deploy.local.given import GivenServers
from deploy.local.servers import Endpoints

READY_SECONDS_MAX: Final = 90.0
LOOK_SECONDS: Final = 0.5
_LOGIN: Final = "fangate"
_PASSWORD: Final = "test-only"
_SETTINGS: Final = {
    # Inside a container testcontainers takes the bridge's gateway for the host, unless both are said.
    "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
    # Its reaper is one more image to pull; the containers are removed here, by id.
    "TESTCONTAINERS_RYUK_DISABLED": "true",
}


@contextlib.contextmanager
def container_endpoints() -> Iterator[Endpoints]:
    """Start all three, wait until each answers in its own protocol, and remove them afterwards. Raises ChildFailedError."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer

    postgres = PostgresContainer(POSTGRES, username=_LOGIN, password=_PASSWORD, dbname=_LOGIN, driver=None)
    redis = DockerContainer(VALKEY).with_exposed_ports(6379)
    redis.with_command(["valkey-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"])
    rabbitmq = DockerContainer(RABBITMQ).with_exposed_ports(5672, 15672)
    rabbitmq.with_env("RABBITMQ_DEFAULT_USER", _LOGIN).with_env("RABBITMQ_DEFAULT_PASS", _PASSWORD)
    with contextlib.ExitStack() as stack:
        for container in (rabbitmq, redis, postgres):
            stack.callback(container.stop)
            container.start()
        host = "127.0.0.1"
        login = f"{_LOGIN}:{_PASSWORD}@{host}"
        endpoints = Endpoints(
            postgres_dsn=f"postgresql://{login}:{postgres.get_exposed_port(5432)}/{_LOGIN}",
            redis_url=f"redis://{host}:{redis.get_exposed_port(6379)}/0",
            amqp_url=f"amqp://{login}:{rabbitmq.get_exposed_port(5672)}/%2F",
            management_url=f"http://{login}:{rabbitmq.get_exposed_port(15672)}",
        )
        asyncio.run(_until_ready(endpoints))
        yield endpoints


async def _until_ready(endpoints: Endpoints) -> None:
    """A published port accepts before the server behind it listens: only an answer counts."""
    end = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            await GivenServers(endpoints).start()
        except ChildFailedError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return
