"""A PostgreSQL that is backed up as docs/operations.md says (a base backup and an archive of its log), lost, and restored to a
moment on other data."""

import asyncio
import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg

from deploy.local import postgres
from tests.support.faults.own_postgres import LOOK_SECONDS, OwnPostgres

ARCHIVED_SECONDS_MAX: Final = 30.0
RESTORED_SECONDS_MAX: Final = 60.0


class ArchivedPostgres(OwnPostgres):
    """Its log goes into an archive as it is written; `restore` makes a new cluster from that and the base backup."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        as_ = postgres.disguise()
        self._archive = postgres.data_folder(folder / "archive", as_)
        self._backup: Path | None = None

    async def archive(self) -> None:
        """From now on every full piece of the log is copied; needs a restart."""
        as_ = postgres.disguise()
        postgres.prepare(self._archive.parent, as_)
        self._archive.mkdir(exist_ok=True)
        if as_.user is not None:
            shutil.chown(self._archive, as_.user)
        copy = f'test ! -f "{self._archive}/%f" && cp "%p" "{self._archive}/%f"'
        await self._ask("ALTER SYSTEM SET archive_mode = on")
        await self._ask(f"ALTER SYSTEM SET archive_command = '{copy}'")
        await self.crash()
        await self.start()

    async def back_up(self) -> None:
        """A base backup, while everybody works."""
        folder, _ = self._another()
        self._backup = await self._copy_to(folder, "-X", "none")

    async def now(self) -> datetime:
        """The server's clock: a moment to come back to."""
        moment = await self._ask("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        return moment

    async def archive_the_rest(self) -> None:
        """Close the piece of the log in hand, as `archive_timeout` does every minute, and wait until it is copied."""
        last = await self._ask("SELECT pg_walfile_name(pg_switch_wal())")
        async with asyncio.timeout(ARCHIVED_SECONDS_MAX):
            while not (self._archive / str(last)).exists():
                await asyncio.sleep(LOOK_SECONDS)

    async def restore(self, at: datetime) -> None:
        """The server is lost. Make another from backup and archive, as everything was `at`; `port` is its from then on."""
        assert self._backup is not None
        await self.crash()
        folder, port = self._another()
        self._give_disk(folder)
        as_ = postgres.disguise()
        data = postgres.data_folder(folder, as_)
        postgres.prepare(data.parent, as_)
        shutil.copytree(self._backup, data)
        with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(
                f"""
                archive_mode = off
                restore_command = 'cp "{self._archive}/%f" "%p"'
                recovery_target_time = '{at.isoformat()}'
                recovery_target_action = 'promote'
                """
            )
        (data / "recovery.signal").touch()
        if as_.user is not None:
            for path in (data, *data.rglob("*")):
                shutil.chown(path, as_.user)
        self._folder, self.port, self._child = folder, port, await self._run(folder, port)
        async with asyncio.timeout(RESTORED_SECONDS_MAX):
            while await self._ask("SELECT pg_is_in_recovery()"):
                await asyncio.sleep(LOOK_SECONDS)

    async def seal(self, database: str) -> None:
        """What billing's timer does every minute."""
        connection = await asyncpg.connect(postgres.admin_dsn(self.port, database))
        try:
            await connection.execute("SELECT billing.seal()")
        finally:
            await connection.close()
