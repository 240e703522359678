"""Sessions on the real servers, with the sandbox as its platform."""

from collections.abc import AsyncIterator

import pytest

from tests.support.sandbox import Sandbox, running_sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.sessions import Sessions, running_sessions


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def sessions(database: TestDatabase, broker: TestBroker, sandbox: Sandbox) -> AsyncIterator[Sessions]:
    async with running_sessions(database, broker, sandbox) as running:
        yield running
