"""Servers that somebody else runs (`FANGATE_POSTGRES_DSN`, `FANGATE_REDIS_URL`, `FANGATE_AMQP_URL`).

They are asked once whether they answer and are administrators' addresses of ours. Nothing of theirs is changed: what we
need on them has a name of our own, and only that is ever flushed or dropped.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiormq
import asyncpg
import redis.asyncio

from deploy.local.children import Child, ChildFailedError
from deploy.local.management import Management
from deploy.local.servers import Endpoints

VARIABLES: Final = ("FANGATE_POSTGRES_DSN", "FANGATE_REDIS_URL", "FANGATE_AMQP_URL")
_MANAGEMENT_PORT: Final = 15672  # where the plugin listens unless it is told otherwise


def given_endpoints(environ: Mapping[str, str] = os.environ) -> Endpoints | None:
    """The given servers, or None if none is given. Raises ChildFailedError if only some are: half a stack is a mistake."""
    found = [environ.get(name, "") for name in VARIABLES]
    if not any(found):
        return None
    missing = [name for name, value in zip(VARIABLES, found, strict=True) if not value]
    if missing:
        raise ChildFailedError(f"servers are given, but not all of them; set also: {', '.join(missing)}")
    dsn, redis_url, amqp_url = found
    management_url = environ.get("FANGATE_MANAGEMENT_URL") or _usual_management(amqp_url)
    return Endpoints(postgres_dsn=dsn, redis_url=redis_url, amqp_url=amqp_url, management_url=management_url)


class GivenServers:
    """Servers that were there before us and stay behind us."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.children: list[Child] = []

    async def start(self) -> None:
        """A protocol exchange with each. Raises ChildFailedError naming the variable of the one that does not answer."""
        checks = {
            "FANGATE_POSTGRES_DSN": self._postgres(),
            "FANGATE_REDIS_URL": self._redis(),
            "FANGATE_AMQP_URL": self._amqp(),
            "FANGATE_MANAGEMENT_URL": Management(self.endpoints.management_url).ping(),
        }
        answers = await asyncio.gather(
            *(asyncio.wait_for(check, 10.0) for check in checks.values()), return_exceptions=True
        )
        for name, answer in zip(checks, answers, strict=True):
            if isinstance(answer, BaseException):
                raise ChildFailedError(
                    f"{name}: no usable server there ({type(answer).__name__}: {answer})"
                ) from answer

    async def stop(self) -> None:
        """They are not ours to stop."""

    async def _postgres(self) -> None:
        connection = await asyncpg.connect(self.endpoints.postgres_dsn, timeout=5.0)
        await connection.close(timeout=1.0)

    async def _redis(self) -> None:
        client = redis.asyncio.Redis.from_url(self.endpoints.redis_url, socket_timeout=5.0, socket_connect_timeout=5.0)
        try:
            await client.info("server")
        finally:
            await client.aclose()

    async def _amqp(self) -> None:
        connection = await aiormq.connect(self.endpoints.amqp_url)
        await connection.close()


def _usual_management(amqp_url: str) -> str:
    parts = urlsplit(amqp_url)
    login = parts.netloc.rpartition("@")[0] or "guest:guest"
    return f"http://{login}@{parts.hostname or 'localhost'}:{_MANAGEMENT_PORT}"
