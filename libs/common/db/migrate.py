"""Migrations: `python -m libs.common.db.migrate [--service billing …]` makes roles, schemas and tables what the code needs.

Per service with a `migrations/` folder: the roles `<service>_owner` and `<service>_read` (nobody logs in as these) and
`<service>_app` (its login), the schema, then the files of this package (inbox, outbox) and the service's own, in order,
each once and each in a transaction of its own. Forward only. Running it twice, or two at once, is safe. A file is remembered by
its name: numbers only order, gaps between them mean nothing, and one that comes into a gap later is applied.

A file runs as `<service>_owner` with the schema as search_path; `{service}` in the library's files is the service's name.
It runs while the service works: whoever waits for a lock makes everybody behind wait, so a file gives up soon and is tried
again. A file that locks one table only cannot meet another transaction crosswise; several tables are several files.
There are no default privileges: a file grants to `<service>_app` what the service may do, and nothing else is allowed.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from libs.common.db.errors import DatabaseError, Deadlock, LockTimeout, translated
from libs.common.db.pool import Database
from libs.common.errors import FangateError
from libs.common.settings import PREFIX, Secret, SettingsError, load
from libs.common.telemetry.log import configure_logging, logger
from libs.common.telemetry.metrics import Gauge

_LIBRARY: Final = Path(__file__).parent / "migrations"
_SERVICES: Final = Path(__file__).resolve().parents[3] / "services"
_FILE_NAME: Final = re.compile(r"[0-9]{4}_[a-z0-9_]+\.sql")
_SERVICE_NAME: Final = re.compile(r"[a-z]{1,30}")
_LOCK: Final = 0x66616E67617465  # "fangate": one migration run at a time in a database
_LOCK_WAIT_MS: Final = 500  # below PostgreSQL's deadlock_timeout (1 s): the migration gives way, never the service
_LOCK_ATTEMPTS: Final = 60
_LOCK_PAUSE_SECONDS: Final = 0.5  # for those who waited behind
_SET_SINCE: Final = 16  # the version of PostgreSQL that tells being a member from being allowed to become
_ROLE_ATTEMPTS: Final = 5  # roles belong to the whole server: runs in two databases may collide on them

SCHEMA_VERSION = Gauge("fangate_schema_version", "Number of the newest migration that is applied", ["service"])
_log = logger(__name__)


class MigrationChanged(DatabaseError):
    """A file that was applied has another text now; a change needs a new file."""


class MigrationFailed(DatabaseError):
    """A file could not be applied: nothing of it stands, everything before it does."""


class MigrateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the program."""

    postgres_dsn: Secret  # FANGATE_POSTGRES_DSN_MIGRATE: may create roles and schemas
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is what is recorded: `common/0001_create_inbox` or `0001_create_ledger`."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def services_with_migrations(root: Path = _SERVICES) -> list[str]:
    """The services that keep tables."""
    return sorted(path.parent.name for path in root.glob("*/migrations") if any(path.glob("*.sql")))


def migrations_of(service: str, root: Path = _SERVICES) -> list[Migration]:
    """Everything `service` needs, in order. Raises ValueError for a file name that has no place in the order."""
    found = [
        Migration(f"common/{path.stem}", path.read_text(encoding="utf-8").replace("{service}", service))
        for path in _ordered(_LIBRARY)
    ]
    return found + [
        Migration(path.stem, path.read_text(encoding="utf-8")) for path in _ordered(root / service / "migrations")
    ]


def _ordered(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.sql"))
    for path in paths:
        if not _FILE_NAME.fullmatch(path.name):
            raise ValueError(f"{path}: a migration is named NNNN_verb_noun.sql")
    numbers = [path.name[:4] for path in paths]
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{folder}: two migrations have the same number")
    return paths


async def migrate(
    dsn: str, services: list[str] | None = None, *, root: Path = _SERVICES, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Bring the database of `dsn` (a superuser, or an owner who may create roles) up to date for `services` (default: all).

    Passwords of the logins come from the services' own DSNs in `environ`. Answers what was applied, as
    `billing: 0001_create_ledger`. Raises MigrationChanged, MigrationFailed, DatabaseAway.
    """
    applied: list[str] = []
    async with _locked(dsn) as connection:
        for service in services_with_migrations(root) if services is None else services:
            if not _SERVICE_NAME.fullmatch(service):
                raise ValueError(f"not a service name: {service!r}")
            await _ensure_roles(connection, service, environ)
            await _ensure_schema(connection, service)
            for migration in await _pending(connection, service, root):
                await _apply(connection, service, migration)
                applied.append(f"{service}: {migration.name}")
    return applied


async def schema_is_current(db: Database, service: str, *, root: Path = _SERVICES) -> bool:
    """Whether every migration this code knows is applied: readiness of a service. A newer schema is fine (expand first)."""
    known = [f"common/{path.stem}" for path in _ordered(_LIBRARY)]
    known += [path.stem for path in _ordered(root / service / "migrations")]
    try:
        rows = await db.fetch("SELECT name FROM schema_migrations")
    except DatabaseError:  # no schema, no table, no right to look yet
        return False
    applied = {row["name"] for row in rows}
    own = [name for name in applied if not name.startswith("common/")]
    SCHEMA_VERSION.labels(service).set(max((int(name[:4]) for name in own), default=0))
    return applied.issuperset(known)


@contextlib.asynccontextmanager
async def _locked(dsn: str) -> AsyncIterator[Any]:
    with translated():
        connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "migrate"})
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            yield connection
        finally:
            await connection.close(timeout=5)  # and with it the lock


async def _ensure_roles(connection: Any, service: str, environ: Mapping[str, str]) -> None:
    """Roles are shared by all databases of a server, where another run may be at the same: try again when they collide."""
    for attempt in range(1, _ROLE_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await _create_roles(connection, service, _password(service, environ))
            return
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
            if attempt == _ROLE_ATTEMPTS:
                raise
            await asyncio.sleep(0.1 * attempt)


async def _create_roles(connection: Any, service: str, password: str | None) -> None:
    wanted = {f"{service}_owner": "NOLOGIN", f"{service}_read": "NOLOGIN", f"{service}_app": "LOGIN"}
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", list(wanted))
    there = {row["rolname"] for row in rows}
    for role, login in wanted.items():
        if role not in there:
            await connection.execute(f"CREATE ROLE {role} {login} NOINHERIT")
    if password is not None:
        literal = await connection.fetchval("SELECT quote_literal($1::text)", password)
        await connection.execute(f"ALTER ROLE {service}_app PASSWORD {literal}")
    # SET ROLE needs it; a superuser has it. From 16 on whoever makes a role is a member of it, but may not become it yet.
    needed = "SET" if connection.get_server_version().major >= _SET_SINCE else "MEMBER"
    if not await connection.fetchval("SELECT pg_has_role(current_user, $1, $2)", f"{service}_owner", needed):
        await connection.execute(f"GRANT {service}_owner TO CURRENT_USER")


def _password(service: str, environ: Mapping[str, str]) -> str | None:
    """The password inside the service's own DSN, if one is set here; without it the role is left as it is."""
    variable = f"{PREFIX}POSTGRES_DSN_{service.upper()}"
    dsn = environ.get(variable)
    if dsn is None and (path := environ.get(f"{variable}_FILE")):
        dsn = Path(path).read_text(encoding="utf-8").strip()
    password = urlsplit(dsn).password if dsn else None
    return unquote(password) if password else None


async def _ensure_schema(connection: Any, service: str) -> None:
    async with connection.transaction():
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}_owner")
        await connection.execute(f"SET LOCAL ROLE {service}_owner")
        await connection.execute(
            f"""CREATE TABLE IF NOT EXISTS {service}.schema_migrations (
                  name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
                GRANT USAGE ON SCHEMA {service} TO {service}_app;
                GRANT SELECT ON {service}.schema_migrations TO {service}_app"""
        )


async def _pending(connection: Any, service: str, root: Path) -> list[Migration]:
    rows = await connection.fetch(f"SELECT name, sha256 FROM {service}.schema_migrations")  # noqa: S608 - a checked name
    applied = {row["name"]: row["sha256"] for row in rows}
    migrations = migrations_of(service, root)
    for migration in migrations:
        if applied.get(migration.name, migration.digest) != migration.digest:
            raise MigrationChanged(f"{service}: {migration.name} was changed after it was applied; write a new file")
    return [migration for migration in migrations if migration.name not in applied]


async def _apply(connection: Any, service: str, migration: Migration) -> None:
    """Apply one file, as often as somebody holds what it must lock. Raises MigrationFailed, DatabaseAway."""
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            await _apply_once(connection, service, migration)
            break
        except (LockTimeout, Deadlock) as exc:
            if attempt == _LOCK_ATTEMPTS:
                problem = f"in the way of others {attempt} times, each {_LOCK_WAIT_MS} ms: {exc}"
                raise MigrationFailed(f"{service}: {migration.name}: {problem}", sqlstate="55P03") from exc
            _log.info("migration makes way", service=service, migration=migration.name, attempt=attempt)
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)
    _log.info("migration applied", service=service, migration=migration.name)


async def _apply_once(connection: Any, service: str, migration: Migration) -> None:
    try:
        with translated():
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
                await connection.execute(f"SET LOCAL ROLE {service}_owner")
                await connection.execute(f"SET LOCAL search_path = {service}")
                await connection.execute(migration.sql)
                await connection.execute(
                    f"INSERT INTO {service}.schema_migrations (name, sha256) VALUES ($1, $2)",  # noqa: S608 - a checked name
                    migration.name,
                    migration.digest,
                )
    except DatabaseError as exc:
        raise MigrationFailed(f"{service}: {migration.name}: {exc}", sqlstate=exc.sqlstate) from exc


def main(argv: list[str] | None = None) -> int:
    """The command line; exit status 0, 1 when a migration failed, 2 when a setting is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.common.db.migrate", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--service", action="append", choices=services_with_migrations(), help="default: all")
    options = parser.parse_args(argv)
    try:
        settings = load(MigrateSettings, service="migrate")
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    configure_logging("migrate", level=settings.log_level)
    try:
        applied = asyncio.run(migrate(settings.postgres_dsn.reveal(), options.service))
    except (DatabaseError, FangateError, OSError, ValueError) as exc:
        _log.error("migration failed", exc_info=exc)
        return 1
    _log.info("schema is current", applied=len(applied))
    return 0


if __name__ == "__main__":
    sys.exit(main())
