"""Private servers: proven to be ours, unbothered by others, gone afterwards, wherever the folder is."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from deploy.local import ports, postgres, rabbitmq, redis_server
from deploy.local.children import Child, ChildFailedError
from deploy.local.profile import Profile
from deploy.local.programs import find_programs
from deploy.local.readiness import NotOursError, until_ready
from deploy.local.servers import PrivateServers
from tests.support.processes import descendants, gone, until
from tests.support.servers import OwnRedis, Servers, sweep


async def test_a_foreign_server_on_the_wanted_port_is_not_used(
    tmp_path: Path, redis_server: Callable[[], Awaitable[OwnRedis]]
) -> None:
    # given a folder with spaces below a closed parent, whose memory wants a port that a stranger has
    parent = tmp_path / "closed"
    parent.mkdir(mode=0o700)
    profile = Profile("a path with spaces", run=parent)
    profile.open()
    foreign = await redis_server()
    wanted = int(foreign.url.rpartition(":")[2].partition("/")[0])
    profile.remember_ports(redis=wanted)
    stranger = redis.asyncio.Redis.from_url(foreign.url)
    await stranger.set("theirs", "untouched")

    servers = PrivateServers(profile, is_durable=True)
    await servers.start()
    try:
        assert servers.endpoints.redis_url != foreign.url
        assert profile.ports()["redis"] != wanted
        assert await stranger.get("theirs") == b"untouched"
        assert await stranger.dbsize() == 1
        processes = descendants(child.pid for child in servers.children)
    finally:
        await stranger.aclose()
        await servers.stop()
        profile.close()
    assert gone(processes)
    servers.remove()
    assert not profile.folder.exists()


async def test_readiness_tells_a_stranger_from_our_own(servers: Servers, tmp_path: Path) -> None:
    redis_port = int(servers.redis_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(NotOursError):
        await redis_server.check(redis_port, os.getpid())
    postgres_port = int(servers.postgres_admin_dsn.rpartition(":")[2].partition("/")[0])
    with pytest.raises(NotOursError):
        await postgres.check(postgres_port, tmp_path)
    login, _, place = servers.amqp_admin_url.removeprefix("amqp://").partition("@")
    amqp_port = int(place.partition(":")[2].partition("/")[0])
    with pytest.raises(NotOursError):
        await rabbitmq.check({"amqp": amqp_port, "management": 0}, login.partition(":")[2], "another nonce")


async def test_a_child_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('first'); sys.exit('no such luck')"]
    child = Child.spawn("unlucky", command, env={}, log=tmp_path / "log", cwd=tmp_path)

    async def never() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ChildFailedError, match=r"(?s)unlucky ended with code 1:\n.*no such luck"):
        await until_ready(child, never)


async def test_the_kernel_ends_the_servers_of_a_killed_run(tmp_path: Path) -> None:
    # given a process that started servers, as a test run does
    program = (
        "import asyncio, os, pathlib, sys\n"
        "from deploy.local.profile import Profile\n"
        "from deploy.local.servers import PrivateServers\n"
        "async def main():\n"
        "    profile = Profile(f'test-{os.getpid()}', run=pathlib.Path(sys.argv[1])); profile.open()\n"
        "    await PrivateServers(profile, is_durable=False).start()\n"
        "    print('ready', flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    log = tmp_path / "log"
    run = Child.spawn(
        "run", [sys.executable, "-c", program, tmp_path / "run"], env=dict(os.environ), log=log, cwd=Path.cwd()
    )
    await until(lambda: "ready" in run.tail(), timeout_s=60)
    processes = descendants([run.pid])
    assert len(processes) > 5  # three servers, and the processes of theirs
    data = postgres.data_folder(tmp_path / "run" / f"test-{run.pid}" / "postgres", postgres.disguise())
    assert (data / "PG_VERSION").exists()

    run.send(signal.SIGKILL)

    await run.wait(5)
    await until(lambda: gone(processes), timeout_s=10)
    # and the next run removes what they wrote
    sweep("test", tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    assert not data.parent.exists()


async def test_every_test_has_a_database_of_its_own(servers: Servers) -> None:
    from tests.support.servers import a_database

    async with a_database(servers) as one, a_database(servers) as other:
        connection = await asyncpg.connect(one.dsn("billing"))
        assert await connection.fetchval("SELECT current_user") == "billing_app"
        assert await connection.fetchval("SELECT current_database()") == one.name
        await connection.close()
        assert one.name != other.name


def a_corpse() -> subprocess.Popen[bytes]:
    """A process that has ended and was not waited for."""
    corpse = subprocess.Popen(["true"])
    os.waitid(os.P_PID, corpse.pid, os.WEXITED | os.WNOWAIT)
    return corpse


async def test_a_killed_postmaster_that_nobody_waited_for_is_in_nobodys_way(tmp_path: Path) -> None:
    # given a cluster whose postmaster was killed, and is still in the table of processes
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    folder, log = tmp_path / "postgres", tmp_path / "log"
    await postgres.initialize(find_programs(), folder, env=env, log=log)
    corpse = a_corpse()
    data = postgres.data_folder(folder, postgres.disguise())
    (data / "postmaster.pid").write_text(f"{corpse.pid}\n{data}\n", encoding="utf-8")
    try:
        # when it is started again
        await postgres.initialize(find_programs(), folder, env=env, log=log)
        (port,) = ports.pick(1)
        child = postgres.spawn(find_programs(), folder, port, env=env, log=log, is_durable=False)
        await until_ready(child, lambda: postgres.check(port, folder))
        assert await child.stop(signal.SIGINT, grace_s=10)
    finally:
        corpse.wait()
        postgres.remove(folder)
