"""Calls as edges tell of them: added up once, read by the key's owner, reported by version to the operator, dropped in time."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.edge import CallsCounted, KeyCall, KeyCalls
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.store.calls import PostgresCallRecords
from services.auth.store.postgres import PostgresAccounts
from tests.support.auth import a_key, an_organization
from tests.support.service_process import Operator

DAY_MS = 86_400_000
AT_MS = int(datetime.now(UTC).timestamp() * 1_000)


@pytest.fixture
def records(db: Database) -> PostgresCallRecords:
    return PostgresCallRecords(db)


@pytest.fixture
async def key(accounts: PostgresAccounts) -> tuple[uuid.UUID, uuid.UUID]:
    """An organization and a key of it."""
    organization = await an_organization(accounts)
    async with accounts.change(organization.org_id) as change:
        made = a_key(organization.org_id, await change.role_named("owner"))
        await change.add_key(made)
    return organization.org_id, made.key_id


def told(key: tuple[uuid.UUID, uuid.UUID], *calls: KeyCall, **changes: Any) -> CallsCounted:
    count = KeyCalls(org_id=key[0], key_id=key[1], surface="fanvue", version="2025-06-26", calls=3, last_at_ms=AT_MS)
    return CallsCounted(counts=(msgspec.structs.replace(count, **changes),), calls=calls)


def a_call(key: tuple[uuid.UUID, uuid.UUID], **changes: Any) -> KeyCall:
    whole = KeyCall(
        call_id=uuid7(), org_id=key[0], key_id=key[1], at_ms=AT_MS, method="GET", path="/fanvue/chats", version="2025-06-26",
        status=200,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


async def test_R138_what_was_told_twice_counts_once(
    records: PostgresCallRecords, key: tuple[uuid.UUID, uuid.UUID], db: Database
) -> None:
    message, message_id = told(key, a_call(key)), uuid7()
    for _ in range(2):
        await records.record(message, message_id)
    await records.record(told(key, version="2026-11-20"), uuid7())
    await records.record(told(key, last_at_ms=AT_MS - DAY_MS), uuid7())
    await records.record(told(key), uuid7())
    found = await records.by_version((datetime.now(UTC) - timedelta(days=2)).date(), None)
    assert [(each.version, each.calls) for each in found] == [("2025-06-26", 9), ("2026-11-20", 3)]
    assert await db.fetchval("SELECT last_used_at FROM keys WHERE key_id = $1", key[1]) == datetime.fromtimestamp(
        AT_MS / 1_000, UTC
    )
    assert len(await records.page(*key, limit=10, before=None)) == 1


async def test_the_auth_version_does_not_move(
    records: PostgresCallRecords, key: tuple[uuid.UUID, uuid.UUID], accounts: PostgresAccounts
) -> None:
    before = (await accounts.organization(key[0])).av
    await records.record(told(key), uuid7())
    assert (await accounts.organization(key[0])).av == before


async def test_R169_the_operator_sees_whom_the_end_of_a_version_hurts(
    operator: Operator, records: PostgresCallRecords, db: Database
) -> None:
    org_id = (await operator("org create --name Agency"))["org_id"]
    made = await operator(f"key create --org {org_id} --role owner --label crm")
    await records.record(told((uuid.UUID(org_id), uuid.UUID(made["key_id"]))), uuid7())
    report = await operator("usage versions --version 2025-06-26 --days 1")
    (caller,) = report["callers"]
    assert (caller["org_name"], caller["label"], caller["calls"]) == ("Agency", "crm", 3)
    assert (await operator("usage versions --version 2026-11-20"))["callers"] == []


async def test_R133_R137_the_operator_issues_a_users_key_and_the_one_before_ends(operator: Operator) -> None:
    org_id = (await operator("org create --name Agency"))["org_id"]
    user_id = (await operator(f"user create --org {org_id} --email dev@example.test"))["user_id"]
    create = f"personal-key create --org {org_id} --user {user_id}"
    status, _, err = await operator.run(create)
    assert (status, "NOT_ENABLED" in err) == (2, True)
    assert (await operator(f"org feature {org_id} --enable personal_keys"))["features"] == ["personal_keys"]
    first = await operator(f"{create} --scopes read:chat,write:chat")
    assert first["scopes"] == ["read:chat", "write:chat"]
    second = await operator(create)
    assert not any(scope.startswith("write:") for scope in second["scopes"])
    states = {key["key_id"]: key["state"] for key in (await operator(f"key list --org {org_id}"))["keys"]}
    assert states == {first["key_id"]: "revoked", second["key_id"]: "active"}
    assert "read:chat" in (await operator("scope list"))["scopes"]
    assert (await operator(f"usage calls {second['key_id']}"))["calls"] == []
