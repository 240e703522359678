"""Billing as a process, with the broker between it and an edge."""

import signal
import time
import uuid
from collections.abc import AsyncIterator

import aio_pika
import pytest

from libs.common.bus.bus import Bus
from libs.common.contracts import billing as contracts
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchDebited
from libs.common.contracts.wire import encode
from libs.common.errors import RpcError
from libs.common.ids import uuid7
from libs.common.redis.client import Redis
from tests.support.billing import a_usage, eventually, recorded
from tests.support.billing_process import command, environment
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import running_service


@pytest.fixture
def env(database: TestDatabase, broker: TestBroker, redis_url: str) -> dict[str, str]:
    return environment(database, broker, redis_url)


@pytest.fixture
async def edge(broker: TestBroker) -> AsyncIterator[Bus]:
    bus = await Bus.connect(broker.url("edge"), service="edge")
    yield bus
    await bus.close()


@pytest.fixture
async def takedowns(broker: TestBroker) -> AsyncIterator[Bus]:
    bus = await Bus.connect(broker.url("takedowns"), service="takedowns")
    yield bus
    await bus.close()


async def ask(bus: Bus, org_id: uuid.UUID, request: Message) -> Message:
    reply, _ = await bus.call(request, org_id=org_id, deadline_ms=int(time.time() * 1000) + 5_000)
    return reply


async def test_an_operator_s_day(env: dict[str, str]) -> None:
    org = str(uuid.uuid4())

    assert (await command(env, "plan", "list"))[1]["plans"][0]["code"] == "free"
    status, started, _ = await command(env, "subscription", "start", "--org", org, "--plan", "pro")
    assert (status, started["plan"]["monthly_credits"], started["status"]) == (0, 5000, "active")
    again = await command(env, "subscription", "start", "--org", org, "--plan", "pro")
    assert again[1] == started
    status, _, error = await command(env, "subscription", "start", "--org", org, "--plan", "basic")
    assert (status, error.count("\n")) == (2, 1)
    smaller = ("plan", "set", "--plan", "pro", "--credits", "10", "--per-minute", "1", "--per-day", "9")
    assert (await command(env, *smaller))[1]["monthly_credits"] == 10  # what was granted before stays right
    for wrong in (["grant", "--org", "x"], ["balance"], ["grant", "--org", org, "--credits", "0"], ["nonsense"]):
        status, shown, error = await command(env, *wrong)
        assert (status, shown, error.count("\n")) == (2, {}, 1)
    granted = await command(
        env, "grant", "--org", org, "--credits", "30", "--kind", "promo", "--memo", "hello", "--days", "7"
    )
    assert granted[1]["balance"] == 5030
    balance = (await command(env, "balance", "--org", org))[1]
    assert [(one["kind"], one["balance"]) for one in balance["buckets"]] == [("promo", 30), ("plan", 5000)]
    statement = (await command(env, "statement", "--org", org))[1]
    assert [(one["type"], one["amount"]) for one in statement["transfers"]] == [("promo", 30), ("grant", 5000)]
    status, verified, _ = await command(env, "verify")
    assert (status, verified["result"], verified["total"]["balance"]) == (0, "OK", 5030)
    assert (await command(env, "lease", "list"))[1] == {"leases": []}


async def test_an_operator_leads_a_subscription_through_its_life(env: dict[str, str]) -> None:
    org = str(uuid.uuid4())
    of = ("--org", org)
    assert (await command(env, "subscription", "show", *of))[1]["status"] == "none"
    await command(env, "subscription", "start", *of, "--plan", "basic")
    assert (await command(env, "subscription", "change", *of, "--plan", "pro"))[1]["plan"]["code"] == "pro"
    assert (await command(env, "subscription", "change", *of, "--plan", "free"))[1]["next_plan"] == "free"
    assert (await command(env, "subscription", "cancel", *of))[1]["cancels"]
    assert (await command(env, "subscription", "past-due", *of))[1]["status"] == "past_due"
    _, shown, _ = await command(env, "subscription", "reactivate", *of)
    assert (shown["status"], shown["cancels"]) == ("active", False)
    assert (await command(env, "tick"))[1] == {"subscriptions": 0, "buckets": 0, "credits": 0}

    _, ticked, _ = await command(env, "tick", "--at", shown["period_end"])
    assert (ticked["subscriptions"], ticked["buckets"]) == (1, 2)
    status, _, error = await command(env | {"FANGATE_ENV": "production"}, "tick", "--at", shown["period_end"])
    assert (status, error.count("\n")) == (2, 1)
    ended = (await command(env, "subscription", "end", *of))[1]
    assert (ended["status"], ended["period_start"]) == ("cancelled", shown["period_end"])
    status, _, error = await command(env, "subscription", "change", *of, "--plan", "pro")
    assert (status, error.count("\n")) == (2, 1)


async def test_what_a_command_says_is_on_the_bus_when_it_returns(env: dict[str, str], broker: TestBroker) -> None:
    await command(env, "subscription", "start", "--org", str(uuid.uuid4()), "--plan", "free")

    heard = []
    async with await aio_pika.connect(broker.url("auth")) as connection, connection.channel() as channel:
        queue = await channel.get_queue("auth.events", ensure=False)
        while (message := await queue.get(fail=False)) is not None:
            heard.append(message.type)
            await message.ack()
    assert heard == ["billing.subscription.changed.v1"]


async def test_calls_are_leased_posted_and_shown(env: dict[str, str], edge: Bus, redis_url: str) -> None:
    org_id = uuid.uuid4()
    await command(env, "subscription", "start", "--org", str(org_id), "--plan", "free")
    redis = Redis.create(redis_url)
    ref = (await redis.epoch()).name
    await redis.close()
    async with running_service("billing", env):
        opened = await ask(edge, org_id, contracts.OpenLease(org_id=org_id, holder="redis", ref=ref, cost=2))
        assert isinstance(opened, contracts.LeaseOpened)
        usage = recorded(*(a_usage(org_id, opened.lease_id) for _ in range(10)))
        for _ in range(3):  # the same message again is the same effect
            await edge.publisher.publish(encode(usage, org_id=org_id))

        async def is_posted() -> bool:
            balance = await ask(edge, org_id, contracts.GetBalance(org_id=org_id))
            return isinstance(balance, contracts.Balance) and balance.balance == 90

        await eventually(is_posted)
        listed = await ask(edge, org_id, contracts.ListTransactions(org_id=org_id))
        assert isinstance(listed, contracts.Transactions)
        assert [(one.type, one.amount) for one in listed.transactions] == [("debit", 10)]
        with pytest.raises(RpcError) as caught:
            await ask(edge, org_id, contracts.OpenLease(org_id=org_id, holder="redis", ref=ref, cost=101))
        assert (caught.value.code, caught.value.fields) == ("INSUFFICIENT_CREDITS", {"required": 101, "balance": 90})


async def test_litellm_33872_kill_between_drain_and_commit(env: dict[str, str], edge: Bus, takedowns: Bus) -> None:
    """Their spend was lost when a worker died between taking it from the queue and committing it."""
    org_id = uuid.uuid4()
    await command(env, "subscription", "start", "--org", str(org_id), "--plan", "basic")
    async with running_service("billing", env) as victim:
        request = contracts.OpenLease(org_id=org_id, holder="edge", ref="edge:1", cost=900)
        opened = await ask(edge, org_id, request)
        batch = contracts.OpenLease(org_id=org_id, holder="batch", ref="batch", amount=100, lease_id=uuid7())
        await ask(takedowns, org_id, batch)
        assert isinstance(opened, contracts.LeaseOpened)
        for number in range(90):
            usages = (a_usage(org_id, opened.lease_id) for _ in range(10))
            await edge.publisher.publish(encode(recorded(*usages), org_id=org_id))
            if number == 45:
                await victim.end(signal.SIGKILL)
    assert batch.lease_id is not None
    debit = BatchDebited(org_id=org_id, batch_id=batch.lease_id, amount=100)
    await takedowns.publisher.publish(encode(debit, org_id=org_id))

    async with running_service("billing", env) as successor:

        async def is_posted() -> bool:
            balance = await ask(edge, org_id, contracts.GetBalance(org_id=org_id))
            return isinstance(balance, contracts.Balance) and balance.balance == 0

        await eventually(is_posted, within_s=20.0)
        assert await successor.end() == 0
    status, verified, _ = await command(env, "verify")
    assert (status, verified["total"]["debits"]["call"], verified["total"]["debits"]["batch"]) == (0, 900, 100)
