"""Fixtures of billing's integration tests."""

from collections.abc import AsyncIterator

import pytest

from tests.support.billing import Billing, a_billing
from tests.support.servers import TestDatabase


@pytest.fixture
async def billing(database: TestDatabase, redis_url: str) -> AsyncIterator[Billing]:
    """Billing over a database and a Redis index of this test's own."""
    async with a_billing(database, redis_url) as one:
        yield one
