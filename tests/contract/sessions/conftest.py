"""A sandbox platform for the suite."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.sandbox import Sandbox, running_sandbox, signed_in


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def browser(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with signed_in(sandbox) as session:
        yield session
