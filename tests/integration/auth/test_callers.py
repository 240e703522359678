"""From a key to its principal over the real bus, and how fast a change reaches the edges."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest

from libs.common.bus import Broadcast, Bus
from libs.common.bus.topology import BROADCASTS
from libs.common.contracts.auth import KeyRevoked, OrganizationChanged, Principal, ResolveKey
from libs.common.contracts.billing import SubscriptionChanged
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import encode
from libs.common.errors import RpcError
from libs.common.ids import new_key
from services.auth.domain.role import BUILT_IN_ROLES
from services.auth.store.postgres import PostgresAccounts
from tests.support.auth import an_organization, digests_of
from tests.support.servers import TestBroker
from tests.support.service_process import Operator, ServiceProcess, running_service


async def resolve(edge: Bus, text: str) -> Principal:
    reply, _ = await edge.call(
        ResolveKey(digests=digests_of(text)), org_id=None, deadline_ms=int(time.time() * 1000) + 5_000
    )
    return cast("Principal", reply)


@contextlib.asynccontextmanager
async def heard_by_an_edge(broker: TestBroker) -> AsyncIterator["asyncio.Queue[Message]"]:
    """What an edge's own queue is told, from now on."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    connected = asyncio.Event()

    async def hear(message: Message, _context: Context) -> None:
        heard.put_nowait(message)

    async def listen() -> None:
        connected.set()

    broadcast = Broadcast(broker.url("edge"), service="edge", bindings=BROADCASTS, on_message=hear, on_connected=listen)
    task = asyncio.create_task(broadcast.run())
    await asyncio.wait_for(connected.wait(), 10)
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_R136_a_key_works_until_the_operator_revokes_it(
    auth_process: ServiceProcess, operator: Operator, edge: Bus, broker: TestBroker
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    made = await operator(f"key create --org {org_id} --role messaging --label production --key-per-minute 7")

    principal = await resolve(edge, made["key"])
    assert (str(principal.key_id), str(principal.org_id)) == (made["key_id"], org_id)
    assert principal.permissions == BUILT_IN_ROLES["messaging"]
    assert (principal.kind, principal.org_state, principal.subscription) == ("organization", "active", "none")
    assert principal.limits.key_per_minute == 7

    async with heard_by_an_edge(broker) as heard:
        revoked = await operator(f"key revoke {made['key_id']}")
        # When the command returns, the announcement is on the bus.
        told = {type(event): event for event in [await asyncio.wait_for(heard.get(), 5) for _ in range(2)]}
    digest = digests_of(made["key"])[0].digest
    assert told == {
        KeyRevoked: KeyRevoked(
            org_id=uuid.UUID(org_id), key_id=uuid.UUID(made["key_id"]), digest=digest, av=revoked["av"]
        ),
        OrganizationChanged: OrganizationChanged(org_id=uuid.UUID(org_id), av=revoked["av"]),
    }
    assert revoked["av"] > principal.av
    answers = []
    for text in (made["key"], new_key("fgk_")):
        with pytest.raises(RpcError) as caught:
            await resolve(edge, text)
        answers.append((caught.value.code, caught.value.public, caught.value.fields))
    assert answers == [("INVALID_API_KEY", "Invalid or missing API key", {})] * 2
    await auth_process.end()
    assert made["key"] not in "".join(auth_process.lines)


async def test_a_role_edit_and_a_suspension_are_seen_by_the_next_resolve(
    auth_process: ServiceProcess, operator: Operator, edge: Bus
) -> None:
    org_id = (await operator("org create --name Example"))["org_id"]
    await operator(f"role create --org {org_id} --name limited --all-but api_messages_send")
    key = (await operator(f"key create --org {org_id} --role limited --label test"))["key"]
    before = await resolve(edge, key)
    assert "api_messages_send" not in before.permissions
    assert "api_chats_list" in before.permissions

    edited = await operator(f"role update --org {org_id} --name limited --permissions api_messages_send")
    after = await resolve(edge, key)
    assert after.permissions == {"api_messages_send", "api_self_read"}
    assert after.av == edited["av"] == before.av + 1

    suspended = await operator(f"org suspend {org_id}")
    after = await resolve(edge, key)
    assert (after.org_state, after.av) == ("suspended", suspended["av"])
    await operator(f"org resume {org_id}")
    assert (await resolve(edge, key)).org_state == "active"
    assert (await auth_process.end()) == 0


async def test_billings_word_on_the_plan_reaches_the_principal_and_an_older_word_does_not(
    auth_process: ServiceProcess, operator: Operator, edge: Bus, broker: TestBroker
) -> None:
    org_id = uuid.UUID((await operator("org create --name Example"))["org_id"])
    key = (await operator(f"key create --org {org_id} --role owner --label test"))["key"]
    before = await resolve(edge, key)
    billing = await Bus.connect(broker.url("billing"), service="billing")

    async def tell(version: int, plan: str, status: str = "active") -> None:
        event = SubscriptionChanged(
            org_id=org_id,
            version=version,
            plan=plan,
            status=status,
            per_minute=version,
            per_day=1_000,
            period_start=datetime(2026, 3, 1, tzinfo=UTC),
            period_end=datetime(2026, 4, 1, tzinfo=UTC),
        )
        await billing.publisher.publish(encode(event, org_id=org_id))

    async def until_auth_says(heard: "asyncio.Queue[Message]", av: int) -> None:
        # The edges hear billing's event too; auth's word comes behind it and is the one that counts.
        while await asyncio.wait_for(heard.get(), 5) != OrganizationChanged(org_id=org_id, av=av):
            pass

    async with heard_by_an_edge(broker) as heard:
        await tell(5, "pro")
        await until_auth_says(heard, before.av + 1)
        after = await resolve(edge, key)
        assert (after.subscription, after.limits.per_minute, after.limits.per_day) == ("active", 5, 1_000)

        await tell(4, "basic", "past_due")
        await tell(6, "scale")
        await until_auth_says(heard, before.av + 2)
        after = await resolve(edge, key)
        assert (after.subscription, after.limits.per_minute, after.av) == ("active", 6, before.av + 2)
    await billing.close()
    assert (await auth_process.end()) == 0


async def test_what_a_killed_process_left_in_the_outbox_is_told_by_the_next(
    accounts: PostgresAccounts, env: dict[str, str], broker: TestBroker
) -> None:
    organization = await an_organization(accounts)  # committed; no relay has run
    async with heard_by_an_edge(broker) as heard, running_service("auth", env):
        event = await asyncio.wait_for(heard.get(), 5)
    assert event == OrganizationChanged(org_id=organization.org_id, av=2)
