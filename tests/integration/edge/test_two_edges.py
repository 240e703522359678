"""Two edges, real auth, bus, Postgres and Redis: what is taken away through one edge is refused by the other on the very next
call. `TWO_EDGES_TRIES` says how often each is tried; 20 without it.
"""

import asyncio
import json
import os
import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from libs.common.bus import Bus
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import Relay
from libs.common.peppers import PepperRing
from services.auth.app import use_cases
from services.auth.domain.organization import OrganizationState, Subscription
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.usecases import UseCases
from services.auth.usecases.issue_key import KeyOrder
from tests.support import auth_process, billing_process
from tests.support.auth import RING_TEXT, StandingClock, an_organization
from tests.support.auth_calls import MemoryCallRecords
from tests.support.edge_process import running_edges
from tests.support.gateway_client import GatewayClient
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import running_service

TRIES = int(os.environ.get("TWO_EDGES_TRIES", "20"))
PATIENCE_S = 20.0

pytestmark = pytest.mark.timeout(120 + 2 * TRIES)


@dataclass
class World:
    """An organization with wide windows, its owner's key, and two edges."""

    one: str
    other: str
    org_id: uuid.UUID
    owner: str
    do: UseCases
    relay: Relay

    async def ask(self, url: str, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with GatewayClient(url, key) as client:
            raw = None if body is None else json.dumps(body).encode()
            answer = await client.call(method, f"/api{path}", body=raw, headers={"X-Forwarded-For": an_address()})
        return answer.status, answer.json.get("data", answer.json)

    async def sure(self, url: str, method: str, path: str, body: Any = None) -> Any:
        """What the owner asks must be done; a 503 of a busy machine is asked again."""
        for _ in range(5):
            status, data = await self.ask(url, self.owner, method, path, body)
            if status != 503:
                break
        assert 200 <= status < 300, data
        return data


@pytest.fixture
async def world(database: TestDatabase, broker: TestBroker, redis_url: str) -> AsyncIterator[World]:
    db = await Database.connect(database.dsn("auth"), schema="auth", name="test", size_max=4)
    bus = await Bus.connect(broker.url("auth"), service="auth")
    outbox = Outbox()
    accounts = PostgresAccounts(db, outbox)
    do = use_cases(accounts, PostgresKeyHolders(db), MemoryCallRecords(), PepperRing.parse(RING_TEXT), StandingClock())
    organization = await an_organization(accounts)
    async with accounts.change(organization.org_id) as change:
        plan = Subscription(version=1, plan="x", status="active", per_minute=1_000_000, per_day=10_000_000)
        await change.set_subscription(plan)
    owner = await do.issue_key(KeyOrder(org_id=organization.org_id, role="owner", label="owner"))
    async with (
        running_service("auth", auth_process.environment(database, broker)),
        running_service("billing", billing_process.environment(database, broker, redis_url)),
        running_edges(2, database, broker, redis_url) as (one, other),
    ):
        yield World(one.url, other.url, organization.org_id, owner.text, do, Relay(db, bus.publisher, outbox))
    await bus.close()
    await db.close()


async def test_R136_R168_a_key_revoked_through_one_edge_is_refused_by_the_other(world: World) -> None:
    accepted = 0
    for number in range(TRIES):
        made = await world.sure(world.one, "POST", "/keys", {"label": f"key {number}", "role": "developer"})
        key, path = made["secret"], f"/keys/{made['key']['key_id']}"
        assert (await world.ask(world.other, key, "GET", "/whoami"))[0] == 200  # it is in the other's cache now

        assert (await world.sure(world.one, "DELETE", path))["state"] == "revoked"

        accepted += (await world.ask(world.other, key, "GET", "/whoami"))[0] != 401
    assert accepted == 0


async def test_R039_a_role_narrowed_through_one_edge_is_narrow_at_the_other(world: World) -> None:
    wide = {"name": "lookers", "permissions": ["api_keys_list"]}
    role = await world.sure(world.one, "POST", "/roles", wide)
    key = (await world.sure(world.one, "POST", "/keys", {"label": "looker", "role": "lookers"}))["secret"]
    path, accepted, refused = f"/roles/{role['role_id']}", 0, 0
    for _ in range(TRIES):
        await world.sure(world.one, "PUT", path, wide)
        refused += (await world.ask(world.other, key, "GET", "/keys"))[0] != 200

        await world.sure(world.one, "PUT", path, {"name": "lookers", "permissions": []})

        accepted += (await world.ask(world.other, key, "GET", "/keys"))[0] != 403
    assert (accepted, refused) == (0, 0)


async def test_R168_once_one_edge_refuses_a_suspended_organization_so_does_the_other(world: World) -> None:
    accepted = 0
    for _ in range(TRIES):
        await set_state(world, OrganizationState.ACTIVE)
        await until(world, world.one, 200)
        await until(world, world.other, 200)

        await set_state(world, OrganizationState.SUSPENDED)
        await until(world, world.one, 403)

        accepted += (await world.ask(world.other, world.owner, "GET", "/whoami"))[0] != 403
    assert accepted == 0


def an_address() -> str:
    """Another client's each time: twenty revoked keys from one address would be a guesser's, and slowed down."""
    return f"2001:db8:{random.randrange(65_536):x}:{random.randrange(65_536):x}::1"


async def set_state(world: World, state: OrganizationState) -> None:
    """As the operator's command line does: the change, then its announcement to the edges."""
    await world.do.set_organization_state(world.org_id, state)
    await world.relay.flush()


async def until(world: World, url: str, status: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await world.ask(url, world.owner, "GET", "/whoami"))[0] != status:
            await asyncio.sleep(0.005)
