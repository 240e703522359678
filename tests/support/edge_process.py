"""Edges as processes of their own, for tests on the real servers: `async with running_edges(2, …) as (one, other)`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from deploy.local import ports
from tests.support.auth import RING_TEXT
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import ServiceProcess, clean_environment


class EdgeProcess(ServiceProcess):
    """A running `python -m services.edge`."""

    url: str = ""


@contextlib.asynccontextmanager
async def running_edges(
    count: int, database: TestDatabase, broker: TestBroker, redis_url: str
) -> AsyncIterator[Sequence[EdgeProcess]]:
    """So many edges behind one Redis, ready; ended by SIGTERM afterwards."""
    edges: list[EdgeProcess] = []
    try:
        for port in ports.pick(count):
            env = clean_environment() | {
                "FANGATE_ENV": "test",
                "FANGATE_POSTGRES_DSN": database.dsn("edge"),
                "FANGATE_AMQP_URL": broker.url("edge"),
                "FANGATE_REDIS_URL": redis_url,
                "FANGATE_KEY_PEPPERS": RING_TEXT,
                "FANGATE_PORT": str(port),
                "FANGATE_TRUSTED_PROXIES": "127.0.0.1",  # a test says which client it is
            }
            edge = await EdgeProcess.start("edge", env)
            edge.url = f"http://127.0.0.1:{port}"
            edges.append(edge)
        for edge in edges:
            await edge.until_ready()
        yield edges
    finally:
        await asyncio.gather(*(edge.end() for edge in edges))
