"""Auth forgets what is over its time, and nothing else: e-mails of removed users, links of invitations, counts of versions."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.domain.retention import INVITATIONS, REMOVED_USERS, VERSION_CALLS
from services.auth.store.postgres import PostgresAccounts
from services.auth.store.retention import forget_old
from tests.support.auth import a_key, an_organization
from tests.support.servers import TestDatabase

DAY = timedelta(days=1)


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    """As the service's own login sees it."""
    opened = await Database.connect(database.dsn("auth"), schema="auth", name="test", size_max=2)
    yield opened
    await opened.close()


@pytest.fixture
async def owner(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin_dsn)
    await connection.execute("SET search_path = auth")
    yield connection
    await connection.close()


async def test_R160_what_is_over_its_time_is_forgotten_and_what_is_not_stays(
    db: Database, owner: asyncpg.Connection
) -> None:
    # given users, links and counts on both sides of their time
    accounts, now = PostgresAccounts(db, Outbox()), datetime.now(UTC)
    organization = await an_organization(accounts)
    async with accounts.change(organization.org_id) as change:
        role = await change.role_named("owner")
        key = a_key(organization.org_id, role)
        await change.add_key(key)
    org_id = organization.org_id
    people = {"old": REMOVED_USERS + DAY, "recent": REMOVED_USERS - DAY}
    for name, age in people.items():
        user_id = uuid7()
        await owner.execute(
            "INSERT INTO users (user_id, org_id, email, role_id) VALUES ($1, $2, $3, $4)",
            user_id, org_id, f"{name}@example.test", role.role_id,
        )  # fmt: skip
        await db.execute("UPDATE users SET state = 'removed' WHERE user_id = $1", user_id)
        assert await owner.fetchval("SELECT removed_at IS NOT NULL FROM users WHERE user_id = $1", user_id)
        await owner.execute("UPDATE users SET removed_at = $2 WHERE user_id = $1", user_id, now - age)
        await owner.execute(
            "INSERT INTO invitations (digest, org_id, user_id, created_at, expires_at, ended_at)"
            " VALUES (sha256($1::bytea), $2, $3, $4, $5, now())",
            name.encode(), org_id, user_id, now - age - INVITATIONS, now - age,
        )  # fmt: skip
    await owner.execute(
        "INSERT INTO users (user_id, org_id, email, role_id) VALUES ($1, $2, 'here@example.test', $3)",
        uuid7(), org_id, role.role_id,
    )  # fmt: skip
    for age in (VERSION_CALLS + 2 * DAY, VERSION_CALLS - 2 * DAY):
        await owner.execute(
            "INSERT INTO version_calls VALUES ($1, $2, $3, 'fanvue', '2025-06-26', 1, now())",
            (now - age).date(), org_id, key.key_id,
        )  # fmt: skip

    # when the timer's work is done, as the service, and done again
    assert await forget_old(db, now) == 3
    assert await forget_old(db, now) == 0

    # then only what is over its time is gone; the row that the audit log names stays
    emails = [row["email"] for row in await owner.fetch("SELECT email FROM users ORDER BY email")]
    assert "old@example.test" not in emails
    assert {"recent@example.test", "here@example.test", "removed"} <= set(emails)
    assert await owner.fetchval("SELECT count(*) FROM invitations") == 1
    assert await owner.fetchval("SELECT count(*) FROM version_calls") == 1
