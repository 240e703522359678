"""Migrations on a real server: once each, whoever runs them and how often."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.db.errors import DatabaseAway, Forbidden
from libs.common.db.migrate import SCHEMA_VERSION, MigrationChanged, MigrationFailed, migrate, schema_is_current
from libs.common.db.pool import Database
from tests.integration.libs.conftest import ROLES, an_empty_database, with_login
from tests.support.servers import Servers

ALL = ["probe: common/0001_create_inbox", "probe: common/0002_create_outbox", "probe: 0001_create_things"]
REPOSITORY = Path(__file__).resolve().parents[3]


async def test_migrating_twice_applies_everything_once(admin_dsn: str, root: Path) -> None:
    assert await migrate(admin_dsn, ["probe"], root=root) == ALL
    assert await migrate(admin_dsn, ["probe"], root=root) == []
    assert await migrate(admin_dsn, root=root) == []  # the default: every service that has migrations


async def test_two_at_once_apply_everything_once(admin_dsn: str, root: Path) -> None:
    results = await asyncio.gather(*(migrate(admin_dsn, ["probe"], root=root) for _ in range(4)))
    assert sorted(map(len, results)) == [0, 0, 0, 3]


async def test_two_databases_of_one_server_may_be_migrated_at_once(
    admin_dsn: str, servers: Servers, root: Path
) -> None:
    # roles belong to the server: both runs want to make them
    environ = {"FANGATE_POSTGRES_DSN_PROBE": with_login(admin_dsn, "probe_app")}
    async with an_empty_database(servers) as other:
        results = await asyncio.gather(
            *(migrate(dsn, ["probe"], root=root, environ=environ) for dsn in (admin_dsn, other))
        )
        assert results == [ALL, ALL]


async def test_a_new_file_is_applied_to_what_is_there(admin_dsn: str, root: Path) -> None:
    await migrate(admin_dsn, ["probe"], root=root)
    (root / "probe" / "migrations" / "0002_add_note.sql").write_text("ALTER TABLE things ADD note text")
    assert await migrate(admin_dsn, ["probe"], root=root) == ["probe: 0002_add_note"]


async def test_numbers_may_have_gaps_and_a_file_may_come_into_one_later(
    admin_dsn: str, db: Database, root: Path
) -> None:
    folder = root / "probe" / "migrations"
    (folder / "0020_add_note.sql").write_text("ALTER TABLE things ADD note text")
    assert (await migrate(admin_dsn, ["probe"], root=root))[-1] == "probe: 0020_add_note"
    assert await schema_is_current(db, "probe", root=root)
    (folder / "0009_add_word.sql").write_text("ALTER TABLE things ADD word text")
    assert not await schema_is_current(db, "probe", root=root)
    assert await migrate(admin_dsn, ["probe"], root=root) == ["probe: 0009_add_word"]
    assert await schema_is_current(db, "probe", root=root)
    assert SCHEMA_VERSION.labels("probe")._value.get() == 20


async def test_a_file_that_fails_leaves_nothing_and_those_before_it_stand(admin_dsn: str, root: Path) -> None:
    (root / "probe" / "migrations" / "0002_break_it.sql").write_text("CREATE TABLE half (id int); SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="probe: 0002_break_it: division by zero"):
        await migrate(admin_dsn, ["probe"], root=root)
    connection = await asyncpg.connect(admin_dsn)
    try:
        assert await connection.fetchval("SELECT to_regclass('probe.half')") is None
        assert await connection.fetchval("SELECT count(*) FROM probe.schema_migrations") == 3
    finally:
        await connection.close()


async def test_a_file_waits_its_turn_and_makes_nobody_wait_long(admin_dsn: str, root: Path) -> None:
    await migrate(admin_dsn, ["probe"], root=root)
    (root / "probe" / "migrations" / "0002_add_note.sql").write_text("ALTER TABLE things ADD note text")
    holder, reader = await asyncpg.connect(admin_dsn), await asyncpg.connect(admin_dsn)
    try:
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM probe.things")  # and its transaction stays open
            migrating = asyncio.create_task(migrate(admin_dsn, ["probe"], root=root))
            waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
            while not await reader.fetchval(waiting):
                await asyncio.sleep(0.01)
            # who comes behind the waiting migration is let through before its own patience ends
            await reader.execute("SET lock_timeout = '5s'; SELECT count(*) FROM probe.things")
            assert not migrating.done()
        assert await migrating == ["probe: 0002_add_note"]
    finally:
        await holder.close()
        await reader.close()


async def test_a_file_changed_after_it_was_applied_is_refused(admin_dsn: str, root: Path) -> None:
    await migrate(admin_dsn, ["probe"], root=root)
    path = root / "probe" / "migrations" / "0001_create_things.sql"
    path.write_text(path.read_text() + "-- one more word")
    with pytest.raises(MigrationChanged, match="0001_create_things"):
        await migrate(admin_dsn, ["probe"], root=root)


async def test_a_service_name_is_a_word(admin_dsn: str) -> None:
    with pytest.raises(ValueError, match="not a service name"):
        await migrate(admin_dsn, ["x; DROP SCHEMA public"])


async def test_readiness_follows_the_newest_migration(db: Database, admin_dsn: str, root: Path) -> None:
    assert await schema_is_current(db, "probe", root=root)
    assert SCHEMA_VERSION.labels("probe")._value.get() == 1
    (root / "probe" / "migrations" / "0002_add_note.sql").write_text("ALTER TABLE things ADD note text")
    assert not await schema_is_current(db, "probe", root=root)
    await migrate(admin_dsn, ["probe"], root=root)
    assert await schema_is_current(db, "probe", root=root)
    (root / "probe" / "migrations" / "0002_add_note.sql").unlink()  # old code on the new schema
    assert await schema_is_current(db, "probe", root=root)


async def test_a_service_on_a_database_that_was_never_migrated_is_not_ready(admin_dsn: str, root: Path) -> None:
    database = await Database.connect(admin_dsn, schema="probe", name="probe")
    try:
        assert not await schema_is_current(database, "probe", root=root)
    finally:
        await database.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM secrets",  # no default privileges: nothing was granted
        "DELETE FROM things",
        "CREATE TABLE mine (id int)",
        "DROP TABLE inbox",
        "DELETE FROM inbox",
        "UPDATE inbox SET consumer = 'x'",
        "INSERT INTO schema_migrations VALUES ('x', 'x')",
        "SET ROLE probe_owner",
    ],
)
async def test_a_service_may_do_what_it_was_granted_and_nothing_else(db: Database, sql: str) -> None:
    with pytest.raises(Forbidden):
        await db.execute(sql)


async def test_the_login_gets_its_password_and_the_owner_cannot_log_in(
    admin: "asyncpg.Connection[Any]", probe_dsn: str
) -> None:
    rows = await admin.fetch("SELECT rolname, rolcanlogin, rolpassword IS NOT NULL AS has FROM pg_authid")
    roles = {row["rolname"]: (row["rolcanlogin"], row["has"]) for row in rows if row["rolname"] in ROLES}
    assert roles == {"probe_owner": (False, False), "probe_app": (True, True), "probe_read": (False, False)}


async def test_a_managed_server_without_a_superuser_will_do(servers: Servers, admin_dsn: str, root: Path) -> None:
    admin = await asyncpg.connect(admin_dsn)
    name = admin_dsn.rpartition("/")[2]
    try:
        await admin.execute("CREATE ROLE probe_deployer LOGIN CREATEROLE PASSWORD 'test-only'")
        await admin.execute(f"ALTER DATABASE {name} OWNER TO probe_deployer")
        assert await migrate(with_login(admin_dsn, "probe_deployer"), ["probe"], root=root) == ALL
    finally:
        await admin.execute(
            f"ALTER DATABASE {name} OWNER TO CURRENT_USER; DROP OWNED BY probe_deployer; DROP ROLE probe_deployer"
        )
        await admin.close()


def run_program(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
    return subprocess.run(
        [sys.executable, "-m", "libs.common.db.migrate", *arguments],
        cwd=REPOSITORY, env=environ | settings, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_program_names_a_missing_setting_in_one_line() -> None:
    done = run_program()
    assert done.returncode == 2
    assert done.stderr == "FANGATE_POSTGRES_DSN is not set (service migrate)\n"


def test_the_program_fails_when_there_is_no_server() -> None:
    done = run_program(FANGATE_POSTGRES_DSN_MIGRATE="postgresql://fangate:hunter2@127.0.0.1:9/x")
    assert done.returncode == 1
    assert "migration failed" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


async def test_the_program_migrates_all_services_of_ours_and_says_so(admin_dsn: str) -> None:
    done = await asyncio.to_thread(run_program, FANGATE_POSTGRES_DSN_MIGRATE=admin_dsn)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "schema is current" in done.stdout.splitlines()[-1]


async def test_a_lost_database_is_an_error_and_not_an_old_schema(probe_dsn: str, root: Path) -> None:
    database = await Database.connect(probe_dsn, schema="probe", name="probe")
    await database.close()
    with pytest.raises(DatabaseAway):
        await schema_is_current(database, "probe", root=root)
