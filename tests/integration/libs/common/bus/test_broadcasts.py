"""An edge hears events on a queue of its own, and flushes its caches whenever it may have missed some."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from libs.common.bus import Broadcast, Bus
from libs.common.bus.topology import BROADCASTS
from libs.common.contracts import auth
from libs.common.contracts.envelope import Context, Message
from libs.common.contracts.wire import EVENTS, encode
from libs.common.ids import uuid7
from tests.support.bus import ORG, a_parcel, eventually
from tests.support.servers import TestBroker


class Ear:
    """Remembers what it heard and how often it was flushed."""

    def __init__(self, broker: TestBroker) -> None:
        self.heard: list[Message] = []
        self.flushes = 0
        self.fails = False
        self.broadcast = Broadcast(
            broker.url("edge"), service="edge", bindings=BROADCASTS, on_message=self.hear, on_connected=self.flush
        )

    async def hear(self, message: Message, _: Context) -> None:
        self.heard.append(message)
        if self.fails:
            raise ValueError("a bug")

    async def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
async def ear(broker: TestBroker) -> AsyncIterator[Ear]:
    own = Ear(broker)
    assert own.broadcast.away_for_s >= 0
    task = asyncio.ensure_future(own.broadcast.run())
    await eventually(lambda: own.broadcast.away_for_s == 0)
    yield own
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def publisher(broker: TestBroker) -> AsyncIterator[Bus]:
    bus = await Bus.connect(broker.url("auth"), service="auth")
    yield bus
    await bus.close()


def changed(av: int) -> auth.OrganizationChanged:
    return auth.OrganizationChanged(org_id=ORG, av=av)


async def test_every_edge_hears_every_event(broker: TestBroker, ear: Ear, publisher: Bus) -> None:
    other = Ear(broker)
    task = asyncio.ensure_future(other.broadcast.run())
    await eventually(lambda: other.broadcast.away_for_s == 0)
    await publisher.publisher.publish(encode(changed(1)))
    await eventually(lambda: ear.heard == other.heard == [changed(1)])
    assert (ear.flushes, other.flushes) == (1, 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_lost_connection_ends_in_a_flush_and_a_new_queue(broker: TestBroker, ear: Ear, publisher: Bus) -> None:
    # given
    async def connection() -> str | None:
        open_now = await broker.management.connections()
        names = [c["name"] for c in open_now if c["vhost"] == broker.vhost and "fan" in str(c["client_properties"])]
        return names[0] if names else None

    await eventually(connection)  # the management interface learns of it a little later
    # when
    name = await connection()
    assert name is not None
    await broker.management.close_connection(name)
    await eventually(lambda: ear.broadcast.away_for_s > 0)
    # then
    await eventually(lambda: ear.flushes == 2)
    await eventually(lambda: ear.broadcast.away_for_s == 0)
    await publisher.publisher.publish(encode(changed(2)))
    await eventually(lambda: ear.heard == [changed(2)])


async def test_what_a_stranger_says_is_not_heard_and_a_bug_does_not_deafen(ear: Ear, publisher: Bus) -> None:
    ear.fails = True
    forged = a_parcel(auth.KeyRevoked(org_id=ORG, key_id=uuid7(), digest="d", av=3), type="billing.balance.changed.v1")
    await publisher.publisher.send(forged, timeout_s=5)
    unknown = a_parcel(changed(1), exchange=EVENTS, routing_key="auth.org.changed.v1", type="auth.org.renamed.v1")
    await publisher.publisher.send(unknown, timeout_s=5)
    await publisher.publisher.publish(encode(changed(4)))
    await publisher.publisher.publish(encode(changed(5)))
    await eventually(lambda: ear.heard == [changed(4), changed(5)])
    assert ear.flushes == 1
