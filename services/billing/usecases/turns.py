"""One at a time per organization, within this process.

Correctness rests on the organization's row lock alone. But a slab is installed after the commit that set it aside, and a
second request in between would find a lease without a counter and strand it; here it waits instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID


class Turns:
    """Locks by organization; an entry lives only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[UUID, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, org_id: UUID) -> AsyncIterator[None]:
        """Wait for the organization's turn and keep it for the block."""
        lock, users = self._locks.get(org_id, (asyncio.Lock(), 0))
        self._locks[org_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[org_id]
            if users == 1:
                del self._locks[org_id]
            else:
                self._locks[org_id] = (lock, users - 1)
