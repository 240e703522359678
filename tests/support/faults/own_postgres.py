"""A PostgreSQL of one run's own: crashed, started on what it had, its disk filled, its replica promoted."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import asyncpg

from deploy.local import ports, postgres
from deploy.local.children import Child
from deploy.local.programs import find_programs
from deploy.local.readiness import until_ready

DISK: Final = "3g"  # of the file system below a cluster: its write-ahead log alone may grow to 1 GB
COPY_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1


class OwnPostgres:
    """A durable cluster of its own. As root it lives in a file system of its own (in memory), which can be filled."""

    def __init__(self, folder: Path) -> None:
        self._parent, self._log = folder, folder / "postgres.log"
        self._env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self._number = 0
        self._folder, self.port = self._another()
        self._child: Child | None = None
        self._mounted: list[Path] = []

    @property
    def dsn(self) -> str:
        return postgres.admin_dsn(self.port)

    @property
    def has_own_disk(self) -> bool:
        return bool(self._mounted)

    async def start(self) -> None:
        """Start it on the data it has (recovering them after a crash), or on new ones."""
        self._give_disk(self._folder)
        await postgres.initialize(find_programs(), self._folder, env=self._env, log=self._log)
        self._child = await self._run(self._folder, self.port)

    async def crash(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, no good-bye."""
        assert self._child is not None
        await self._child.stop(signal.SIGQUIT, grace_s=10)

    async def remove(self) -> None:
        if self._child is not None:
            await self._child.stop(signal.SIGINT, grace_s=10)
        self._discard(self._folder)
        for disk in list(self._mounted):  # of a replica that never came to be
            self._unmount(disk)

    def _discard(self, folder: Path) -> None:
        postgres.remove(folder)
        disk = postgres.data_folder(folder, postgres.disguise()).parent
        if disk in self._mounted:
            self._unmount(disk)

    def _unmount(self, disk: Path) -> None:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
        self._mounted.remove(disk)

    def fill_disk(self) -> None:
        """Not a byte is left. Only with `has_own_disk`."""
        filler = self._filler()
        left = os.statvfs(filler.parent)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)

    async def free_disk(self) -> None:
        """Room again; a server that gave up is started, as a supervisor would."""
        self._filler().unlink()
        assert self._child is not None
        if await self._child.wait(1.0):
            await self.start()

    async def promote_replica(self) -> None:
        """Make a synchronous replica, crash the primary, promote. `dsn` and `port` are the new one's from then on."""
        folder, port = self._another()
        self._give_disk(folder)
        await self._copy_to(folder, "-R", "-X", "stream")
        replica = await self._run(folder, port)
        # From here on a commit is confirmed only when the replica has it as well: so no confirmed debit is lost.
        await self._ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await self._ask("SELECT pg_reload_conf()")
        async with asyncio.timeout(COPY_SECONDS_MAX):
            while await self._ask("SELECT sync_state FROM pg_stat_replication") != "sync":
                await asyncio.sleep(LOOK_SECONDS)
        await self.crash()
        self._discard(self._folder)
        self._folder, self.port, self._child = folder, port, replica
        assert await self._ask("SELECT pg_promote()")

    async def _copy_to(self, folder: Path, *options: str) -> Path:
        """`pg_basebackup` of the running cluster, as the cluster of `folder`; where its data are."""
        as_ = postgres.disguise()
        data = postgres.data_folder(folder, as_)
        postgres.prepare(data.parent, as_)
        program = find_programs().postgres.resolve().with_name("pg_basebackup")
        copy = [*as_.before, program, "-D", data, "-d", f"{self.dsn}?application_name=replica", *options]
        child = Child.spawn(
            "pg_basebackup", [*copy, "-c", "fast", "--no-sync"], env=self._env, log=self._log, cwd=data.parent, user=as_.user
        )  # fmt: skip
        assert await child.wait(COPY_SECONDS_MAX), child.tail()
        assert child.exit_code == 0, child.tail()
        return data

    async def _run(self, folder: Path, port: int) -> Child:
        child = postgres.spawn(find_programs(), folder, port, env=self._env, log=self._log, is_durable=True)
        await until_ready(child, lambda: postgres.check(port, folder))
        return child

    async def _ask(self, query: str) -> object:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def _another(self) -> tuple[Path, int]:
        self._number += 1
        return self._parent / f"postgres-{self._number}", ports.pick(1)[0]

    def _filler(self) -> Path:
        return postgres.data_folder(self._folder, postgres.disguise()).parent / "filler"

    def _give_disk(self, folder: Path) -> None:
        parent = postgres.data_folder(folder, postgres.disguise()).parent
        if parent.exists():
            return
        parent.mkdir(parents=True)
        with contextlib.suppress(OSError):
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(parent)],
                check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            if done.returncode == 0:
                self._mounted.append(parent)
