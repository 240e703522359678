"""What auth takes from the bus, over the bus in memory."""

import time
import uuid
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest

from libs.common.bus import Consumer, MemoryBroker, MemoryBus
from libs.common.bus.topology import QUEUES, routes_to
from libs.common.contracts.auth import Actor, Moved, Principal, ResolveKey
from libs.common.contracts.billing import CreditsLow
from libs.common.contracts.envelope import Context, Kind
from libs.common.contracts.registry import REGISTRY
from libs.common.contracts.sessions import ModelManaged
from libs.common.contracts.wire import EVENTS
from libs.common.db.errors import DatabaseAway
from libs.common.errors import RpcError, Transient
from libs.common.ids import new_key, uuid7
from services.auth.app import use_cases
from services.auth.domain.key import KeyHolder
from services.auth.entry.consumers import consumers
from services.auth.usecases.issue_key import KeyOrder
from tests.support.auth import RING, StandingClock, an_organization, digests_of
from tests.support.auth_calls import MemoryCallRecords
from tests.support.auth_memory import MemoryAccounts
from tests.support.webhooks_heard import Heard, webhooks_heard
from tests.unit.services.auth.usecases.test_project_subscription import told


def the_consumers(accounts: MemoryAccounts, heard: Heard | None = None) -> list[Consumer]:
    records = MemoryCallRecords()
    do = use_cases(accounts, accounts, records, RING, StandingClock())

    async def nobody(_org_id: uuid.UUID, _user_id: uuid.UUID | None) -> tuple[Moved, ...]:
        return ()

    webhooks = webhooks_heard(heard or Heard())
    return consumers(do, accounts, records, StandingClock(), webhooks, outdate_grantors=nobody, desks=())


def a_context(type_: str) -> Context:
    return Context(message_id=uuid7(), type=type_, sender="billing")


async def test_every_event_that_the_topology_brings_has_a_handler() -> None:
    _, events = the_consumers(MemoryAccounts())
    (queue,) = [queue for queue in QUEUES if queue.name == events.queue]
    suffix = {True: ".s00", False: ""}
    brought = {
        entry.name
        for entry in REGISTRY
        if entry.kind is Kind.EVENT and routes_to(queue, EVENTS, entry.name + suffix[entry.sharded])
    }
    assert set(events.handlers) == brought


async def resolve(accounts: MemoryAccounts, text: str) -> Principal:
    """What an edge is answered about the key `text`."""
    broker = MemoryBroker()
    auth, edge = MemoryBus("auth", broker), MemoryBus("edge", broker)
    await auth.start(the_consumers(accounts))
    try:
        deadline_ms = int(time.time() * 1000) + 5_000
        reply, _ = await edge.call(ResolveKey(digests=digests_of(text)), org_id=None, deadline_ms=deadline_ms)
        return cast("Principal", reply)
    finally:
        await edge.close()
        await auth.close()


async def test_a_caller_is_resolved_over_the_bus_and_a_stranger_is_refused() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    do = use_cases(accounts, accounts, MemoryCallRecords(), RING, StandingClock())
    issued = await do.issue_key(KeyOrder(org_id=organization.org_id, role="owner", label="x"))

    assert (await resolve(accounts, issued.text)).key_id == issued.key_id
    with pytest.raises(RpcError) as caught:
        await resolve(accounts, new_key("fgk_"))
    assert (caught.value.code, caught.value.public) == ("INVALID_API_KEY", "Invalid or missing API key")


async def test_without_the_database_nobody_is_refused_as_a_stranger() -> None:
    class Away(MemoryAccounts):
        async def find(self, digests: Sequence[str]) -> KeyHolder | None:
            raise DatabaseAway(detail="10.0.0.7 refused")

    with pytest.raises(RpcError) as caught:
        await resolve(Away(), new_key("fgk_"))
    assert caught.value.code == "UNAVAILABLE"
    assert "10.0.0.7" not in caught.value.public


async def test_a_plan_of_an_organization_that_is_not_known_yet_comes_again() -> None:
    _, events = the_consumers(MemoryAccounts())
    name = "billing.subscription.changed.v1"
    with pytest.raises(Transient):
        await events.handlers[name](told(uuid.uuid4()), a_context(name))


async def test_what_becomes_a_webhook_is_announced_and_changes_nothing() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    said = list(accounts.events)
    heard = Heard()
    _, events = the_consumers(accounts, heard)
    name = "billing.credits.low.v1"
    low = CreditsLow(org_id=organization.org_id, balance=1, threshold_percent=10)
    assert await events.handlers[name](low, a_context(name)) is None
    assert accounts.events == said
    assert heard.messages == [low]


async def test_a_change_of_the_plan_is_projected_and_announced() -> None:
    accounts, heard = MemoryAccounts(), Heard()
    organization = await an_organization(accounts)
    _, events = the_consumers(accounts, heard)
    name = "billing.subscription.changed.v1"
    await events.handlers[name](told(organization.org_id), a_context(name))
    assert (await accounts.organization(organization.org_id)).subscription.version > 0
    assert heard.messages == [told(organization.org_id)]


async def test_what_was_done_with_a_model_is_logged_once_and_moves_no_rights() -> None:
    accounts = MemoryAccounts()
    organization = await an_organization(accounts)
    said, model_id = list(accounts.events), uuid.uuid4()
    _, events = the_consumers(accounts)
    name = "sessions.model.managed.v1"
    by = Actor(address="203.0.113.7", is_link=True)
    deed = ModelManaged(org_id=organization.org_id, model_id=model_id, action="use_link", by=by)
    context = a_context(name)
    for _ in range(2):
        await events.handlers[name](deed, context)
    entries = await accounts.audit_page(organization.org_id, limit=2, before=None)
    found = next(entry for entry in entries if entry.entry_id == context.message_id)
    assert (found.action, found.object_id, found.by, found.address) == (
        "model.use_link", model_id, "link", "203.0.113.7",
    )  # fmt: skip
    assert [entry.action for entry in entries].count("model.use_link") == 1
    assert accounts.events == said

    stranger = msgspec.structs.replace(deed, org_id=uuid.uuid4())
    with pytest.raises(Transient):
        await events.handlers[name](stranger, a_context(name))
