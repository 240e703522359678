"""A private Redis: nothing on disk, one port on 127.0.0.1."""

from pathlib import Path
from typing import Final

import redis.asyncio

from deploy.local.children import Child
from deploy.local.programs import Programs
from deploy.local.readiness import NotOursError

DATABASES: Final = 64  # one index per test, taken in turn


def spawn(programs: Programs, folder: Path, port: int, *, env: dict[str, str], log: Path) -> Child:
    """Start it; `check` tells when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "."]
    command = [programs.redis_server, *options, "--databases", str(DATABASES)]
    return Child.spawn("redis", command, env=env, log=log, cwd=folder)


async def check(port: int, pid: int) -> None:
    """Raises NotOursError if another process than `pid` answers on `port`, a connection error if none does."""
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, socket_timeout=1.0, socket_connect_timeout=1.0)
    try:
        answered = (await client.info("server"))["process_id"]
    finally:
        await client.aclose()
    if answered != pid:
        raise NotOursError(f"port {port} belongs to Redis process {answered}, ours is {pid}")
