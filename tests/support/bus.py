"""Worlds for the bus's suite: the same verbs over memory and over RabbitMQ."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import aio_pika
import msgspec

from libs.common.bus import Bus, MemoryBroker, MemoryBus
from libs.common.bus.topology import DEAD_SUFFIX, RUNGS, definitions
from libs.common.bus.transport import Parcel
from libs.common.contracts import billing, edge, sessions
from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.contracts.wire import COMMANDS, EVENTS
from libs.common.ids import uuid7
from tests.support.servers import TestBroker

RUNG_MS = 150  # of every waiting room in tests on RabbitMQ
ORG = uuid.UUID("0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01")


class DeadLetter(msgspec.Struct, frozen=True):
    """What lies in a `<queue>.dead`."""

    type: str
    message_id: str
    headers: dict[str, Any]
    body: bytes


class World(Protocol):
    """A broker and processes at it."""

    is_real: bool

    async def bus(self, service: str, **options: Any) -> Bus: ...
    async def depth(self, queue: str) -> int: ...
    async def dead(self, queue: str) -> list[DeadLetter]: ...
    async def close(self) -> None: ...


class MemoryWorld:
    """Everything in this process."""

    is_real = False

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self._buses: list[Bus] = []

    async def bus(self, service: str, **options: Any) -> Bus:
        options.pop("reply", None)
        bus = MemoryBus(service, self.broker, **options)
        self._buses.append(bus)
        return bus

    async def depth(self, queue: str) -> int:
        return len(self.broker.queues[queue].ready)

    async def dead(self, queue: str) -> list[DeadLetter]:
        ready = self.broker.queues[queue + DEAD_SUFFIX].ready
        letters = [DeadLetter(e.parcel.type, e.parcel.message_id, e.parcel.headers, e.parcel.body) for e in ready]
        ready.clear()
        return letters

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()


class RabbitWorld:
    """A virtual host of a real broker. Waiting rooms are shortened by policy, quick tries by an impatient sleep."""

    is_real = True

    def __init__(self, broker: TestBroker) -> None:
        self._broker = broker
        self._buses: list[Bus] = []

    async def open(self) -> None:
        policies = definitions(self._broker.vhost)["policies"]
        rungs = [policy for policy in policies if policy["name"] in {rung.name for rung in RUNGS}]
        for policy in rungs:
            policy["definition"]["message-ttl"] = RUNG_MS
        await self._broker.management.import_definitions({"policies": rungs})

    async def bus(self, service: str, **options: Any) -> Bus:
        bus = await Bus.connect(self._broker.url(service), service=service, **options)
        bus._sleep = lambda seconds: asyncio.sleep(min(seconds, 0.02))
        self._buses.append(bus)
        return bus

    async def depth(self, queue: str) -> int:
        connection = await aio_pika.connect(self._broker.admin_url)
        async with connection:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0

    async def dead(self, queue: str) -> list[DeadLetter]:
        letters = []
        connection = await aio_pika.connect(self._broker.admin_url)
        async with connection:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue + DEAD_SUFFIX, passive=True)
            while (message := await declared.get(fail=False, no_ack=True)) is not None:
                letters.append(DeadLetter(message.type or "", message.message_id or "", message.headers, message.body))
        return letters

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()


async def eventually(holds: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Wait until `holds()` is true; it may be a coroutine function. AssertionError at the end."""
    end = time.monotonic() + timeout_s
    while True:
        answer = holds()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


async def all_is_settled(world: World, consumer: Bus, queue: str) -> None:
    """Every message that `consumer` took was acked: when it goes, none comes back."""
    await consumer.drain(5)
    await consumer.close()
    await asyncio.sleep(0.1 if world.is_real else 0)  # the broker takes a moment to put back what was not
    assert await world.depth(queue) == 0


def in_ms(milliseconds: int) -> int:
    """A deadline."""
    return time.time_ns() // 1_000_000 + milliseconds


def a_voided(count: int = 1) -> edge.UsageVoided:
    """An event for the ledger."""
    return edge.UsageVoided(org_id=ORG, ids=tuple(uuid7() for _ in range(count)))


def a_connect() -> sessions.ConnectModel:
    """A job for sessions."""
    return sessions.ConnectModel(org_id=ORG, model_id=uuid7())


def a_proxy(route: str = "chats_list") -> sessions.Proxy:
    """A framed call."""
    return sessions.Proxy(call_id=uuid7(), org_id=ORG, model_id=uuid7(), route=route)


def a_balance_question() -> billing.GetBalance:
    """A call that travels alone."""
    return billing.GetBalance(org_id=ORG)


def a_parcel(message: Message, **changes: Any) -> Parcel:
    """`message` as it is published, with anything changed."""
    entry = REGISTRY.of(type(message))
    parcel = Parcel(
        exchange=EVENTS if entry.kind == "event" else COMMANDS,
        routing_key=entry.name,
        type=entry.name,
        message_id=str(uuid7()),
        headers={"attempt": 1, "org": str(ORG)},
        body=msgspec.json.encode(message),
    )
    return msgspec.structs.replace(parcel, **changes)
