"""A service that exists only here, `probe`, so that the library is tested without any of ours."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from libs.common.db.migrate import migrate
from libs.common.db.pool import Database
from tests.support.servers import PASSWORD, Servers

ROLES = ("probe_owner", "probe_app", "probe_read")


def with_login(dsn: str, user: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


@contextlib.asynccontextmanager
async def an_empty_database(servers: Servers) -> AsyncIterator[str]:
    """The administrator's DSN of a database with nothing in it."""
    name = servers.name()
    admin = await asyncpg.connect(servers.postgres_admin_dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(servers.postgres_admin_dsn)._replace(path=f"/{name}"))
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
async def admin_dsn(servers: Servers) -> AsyncIterator[str]:
    """An empty database; the roles that the test makes are gone after it."""
    async with an_empty_database(servers) as dsn:
        yield dsn
    admin = await asyncpg.connect(servers.postgres_admin_dsn)
    try:
        await admin.execute(f"DROP ROLE IF EXISTS {', '.join(ROLES)}")
    finally:
        await admin.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A `services` folder with the one service."""
    folder = tmp_path / "services" / "probe" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_create_things.sql").write_text(
        """CREATE TABLE things (id uuid PRIMARY KEY, amount int CHECK (amount > 0), facts jsonb, at timestamptz,
             due_at timestamptz, claimed_until timestamptz);
           GRANT SELECT, INSERT, UPDATE ON things TO probe_app;
           CREATE TABLE secrets (id int);"""
    )
    return tmp_path / "services"


@pytest.fixture
async def probe_dsn(admin_dsn: str, root: Path) -> str:
    """The service's own login, on a migrated database."""
    dsn = with_login(admin_dsn, "probe_app")
    await migrate(admin_dsn, ["probe"], root=root, environ={"FANGATE_POSTGRES_DSN_PROBE": dsn})
    return dsn


@pytest.fixture
async def db(probe_dsn: str) -> AsyncIterator[Database]:
    """The service's pool."""
    database = await Database.connect(probe_dsn, schema="probe", name="probe", size_max=6)
    yield database
    await database.close()


@pytest.fixture
async def admin(admin_dsn: str, probe_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser in the migrated database."""
    connection = await asyncpg.connect(admin_dsn, server_settings={"search_path": "probe"})
    yield connection
    await connection.close()
