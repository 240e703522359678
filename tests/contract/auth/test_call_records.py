"""The port `CallRecords`, held by the memory of unit tests and by Postgres."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.edge import CallsCounted, KeyCall, KeyCalls
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.domain.ports import CallRecords
from services.auth.store.calls import PostgresCallRecords
from tests.contract.auth.conftest import Ports
from tests.support.auth import a_key, an_organization
from tests.support.auth_calls import MemoryCallRecords

DAY_MS = 86_400_000
AT_MS = int(datetime.now(UTC).timestamp() * 1_000)
Key = tuple[uuid.UUID, uuid.UUID]


@pytest.fixture
def records(ports: Ports) -> CallRecords:
    return MemoryCallRecords() if ports.db is None else PostgresCallRecords(_db(ports))


def _db(ports: Ports) -> Database:
    assert ports.db is not None
    return ports.db


@pytest.fixture
async def key(ports: Ports) -> Key:
    """An organization and a key of it."""
    organization = await an_organization(ports.accounts)
    async with ports.accounts.change(organization.org_id) as change:
        made = a_key(organization.org_id, await change.role_named("owner"))
        await change.add_key(made)
    return organization.org_id, made.key_id


def told(key: Key, *calls: KeyCall) -> CallsCounted:
    count = KeyCalls(org_id=key[0], key_id=key[1], surface="fanvue", version="2025-06-26", calls=3, last_at_ms=AT_MS)
    return CallsCounted(counts=(count,), calls=calls)


def a_call(key: Key, **changes: Any) -> KeyCall:
    whole = KeyCall(
        call_id=uuid7(), org_id=key[0], key_id=key[1], at_ms=AT_MS, method="GET", path="/fanvue/chats", version="2025-06-26",
        status=200,
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


async def test_a_message_has_its_effect_once(records: CallRecords, key: Key) -> None:
    message, message_id = told(key, a_call(key)), uuid7()
    for _ in range(2):
        await records.record(message, message_id)
    assert len(await records.page(*key, limit=10, before=None)) == 1


async def test_pages_go_back_in_time_and_stay_within_one_key(records: CallRecords, key: Key) -> None:
    calls = [a_call(key, status=200 + n) for n in range(5)]
    await records.record(told(key, *calls), uuid7())
    first = await records.page(*key, limit=3, before=None)
    rest = await records.page(*key, limit=3, before=first[-1].call_id)
    assert [(each.call_id, each.status) for each in (*first, *rest)] == [
        (each.call_id, each.status) for each in reversed(calls)
    ]
    assert await records.page(uuid7(), key[1], limit=3, before=None) == []
    assert await records.page(key[0], uuid7(), limit=3, before=None) == []


async def test_R160_single_calls_are_dropped_after_their_time(records: CallRecords, key: Key) -> None:
    await records.record(told(key, a_call(key), a_call(key, at_ms=AT_MS - 100 * DAY_MS)), uuid7())
    before = datetime.now(UTC) - timedelta(days=90)
    assert [await records.forget(before) for _ in range(2)] == [1, 0]
    assert len(await records.page(*key, limit=10, before=None)) == 1


async def test_a_key_that_is_not_known_there_is_left_out_and_stops_nothing(postgres_ports: Ports) -> None:
    records = PostgresCallRecords(_db(postgres_ports))
    organization = await an_organization(postgres_ports.accounts)
    stranger = (organization.org_id, uuid7())
    await records.record(told(stranger, a_call(stranger)), uuid7())
    assert await records.page(*stranger, limit=10, before=None) == []
