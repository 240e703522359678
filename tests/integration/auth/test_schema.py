"""What the database itself holds auth to."""

import uuid

import pytest

from libs.common.db.errors import CheckViolation, Forbidden, ForeignKeyViolation, UniqueViolation
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.domain.key import Key
from services.auth.domain.organization import OrganizationState, User
from services.auth.store.postgres import QUERIES, PostgresAccounts
from tests.support.auth import NOW, a_key, an_organization


async def a_stored_key(accounts: PostgresAccounts, *, personal: bool = False) -> Key:
    organization = await an_organization(accounts)
    async with accounts.change(organization.org_id) as change:
        role = await change.role_named("owner")
        key = a_key(organization.org_id, role)
        if personal:
            user = User(
                user_id=uuid7(), org_id=organization.org_id, email=f"{uuid7()}@example.test", role_id=role.role_id
            )
            await change.add_user(user)
            key = a_key(organization.org_id, None, user_id=user.user_id, scopes=frozenset({"read:chat"}))
        await change.add_key(key)
    return key


@pytest.mark.parametrize("table", ["organizations", "users", "roles", "keys"])
async def test_nothing_can_be_deleted_with_auths_rights(db: Database, table: str) -> None:
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(Forbidden):
            await db.execute(statement)


@pytest.mark.parametrize("column", ["org_id", "kind", "scopes", "user_id", "start", "model_id"])
async def test_R132_R137_what_a_key_was_issued_with_cannot_be_changed_with_auths_rights(
    db: Database, column: str
) -> None:
    with pytest.raises(Forbidden):
        await db.execute(f"UPDATE keys SET {column} = {column}")


@pytest.mark.parametrize("change", ["scopes = '{write:chat}'", "user_id = NULL", "kind = 'organization'"])
async def test_R137_a_personal_key_keeps_its_scopes_and_user_even_under_the_owners_hands(
    accounts: PostgresAccounts, owner: Database, change: str
) -> None:
    key = await a_stored_key(accounts, personal=True)
    with pytest.raises(CheckViolation):
        await owner.execute(f"UPDATE keys SET {change} WHERE key_id = $1", key.key_id)


async def test_R133_a_second_active_personal_key_of_a_user_is_refused(accounts: PostgresAccounts, db: Database) -> None:
    key = await a_stored_key(accounts, personal=True)
    again = (uuid7(), key.org_id, "personal", b"x" * 32, "b", "fgu_Abcd", "x", None, ["read:chat"], key.user_id)
    with pytest.raises(UniqueViolation) as caught:
        await db.execute(QUERIES.add_key, *again, None, None, None, False, NOW, None, ())
    assert caught.value.constraint == "keys_one_personal"


async def test_a_digest_belongs_to_one_key(accounts: PostgresAccounts) -> None:
    key = await a_stored_key(accounts)
    with pytest.raises(UniqueViolation):
        async with accounts.change(key.org_id) as change:
            await change.add_key(a_key(key.org_id, await change.role_named("owner"), digest=key.digest))


async def test_a_revoked_key_stays_revoked(accounts: PostgresAccounts, db: Database) -> None:
    key = await a_stored_key(accounts)
    async with accounts.change(key.org_id) as change:
        await change.revoke_key(key.key_id, NOW)
    with pytest.raises(CheckViolation):
        await db.execute("UPDATE keys SET revoked_at = NULL WHERE key_id = $1", key.key_id)


async def test_the_auth_version_never_falls_and_a_deleted_organization_stays_deleted(
    accounts: PostgresAccounts, db: Database
) -> None:
    organization = await an_organization(accounts)
    with pytest.raises(CheckViolation):
        await db.execute("UPDATE organizations SET av = av - 1 WHERE org_id = $1", organization.org_id)
    async with accounts.change(organization.org_id) as change:
        await change.set_state(OrganizationState.DELETED)
    with pytest.raises(CheckViolation):
        await db.execute(QUERIES.set_state, organization.org_id, "active")


async def test_a_key_cannot_have_another_organizations_role(accounts: PostgresAccounts) -> None:
    foreign = (await accounts.roles((await an_organization(accounts)).org_id))[0]
    organization = await an_organization(accounts)
    with pytest.raises(ForeignKeyViolation):
        async with accounts.change(organization.org_id) as change:
            await change.add_key(a_key(organization.org_id, foreign))


async def test_finding_a_keys_holder_reads_indexes_only(accounts: PostgresAccounts, db: Database) -> None:
    key = await a_stored_key(accounts)
    async with db.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")  # tables of a few rows: is there an index for each step?
        plan = [row[0] for row in await tx.fetch(f"EXPLAIN {QUERIES.find_holder}", [bytes.fromhex(key.digest)])]
    assert not [line for line in plan if "Seq Scan" in line], "\n".join(plan)
    assert any("keys_digest_key" in line for line in plan)


async def test_an_organization_that_nobody_made_owns_nothing(accounts: PostgresAccounts) -> None:
    assert await accounts.keys(uuid.uuid4()) == []


async def test_the_audit_log_is_only_appended_to_even_under_the_owners_hands(
    accounts: PostgresAccounts, db: Database, owner: Database
) -> None:
    await an_organization(accounts)
    for statement in ("UPDATE audit_log SET address = ''", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(Forbidden):
            await db.execute(statement)
        with pytest.raises(CheckViolation):
            await owner.execute(statement)
    assert await db.fetchval("SELECT count(*) FROM audit_log") == 2
