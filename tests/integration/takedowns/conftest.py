"""Fixtures of takedowns' integration tests."""

from collections.abc import AsyncIterator

import pytest

from tests.support.servers import TestDatabase
from tests.support.takedowns import Takedowns, a_takedowns


@pytest.fixture
async def takedowns(database: TestDatabase, redis_url: str) -> AsyncIterator[Takedowns]:
    """Takedowns and billing over a database of this test's own."""
    async with a_takedowns(database, redis_url) as one:
        yield one
