"""The two worlds in which the suite runs: what holds in one holds in the other."""

from collections.abc import AsyncIterator

import pytest

from tests.support.bus import MemoryWorld, RabbitWorld, World
from tests.support.servers import TestBroker


@pytest.fixture
async def memory() -> AsyncIterator[World]:
    """No broker at all."""
    own = MemoryWorld()
    yield own
    await own.close()


@pytest.fixture
async def rabbitmq(broker: TestBroker) -> AsyncIterator[World]:
    """A virtual host of a real one."""
    own = RabbitWorld(broker)
    await own.open()
    yield own
    await own.close()


@pytest.fixture(params=["memory", "rabbitmq"])
def world(request: pytest.FixtureRequest) -> World:
    """Memory, then RabbitMQ."""
    chosen: World = request.getfixturevalue(request.param)
    return chosen
