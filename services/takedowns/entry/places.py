"""Jobs that wait for the world stand in one queue with jobs that only move rows. Each kind has places of its own, so that a registry or
a relay that takes its time holds up nobody behind it: what finds no place is left to the clock, for its row says that it is due.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

HOSTS_AT_ONCE: Final = 8  # whoever asks for it, clock or queue
HOSTS_PATIENCE_SECONDS: Final = 0.05  # the clock comes for them within seconds
NOTICES_AT_ONCE: Final = 8
NOTICES_PATIENCE_SECONDS: Final = 1.0  # the clock comes for them after minutes
BATCHES_AT_ONCE: Final = 1  # they share the database with submissions
WORKERS: Final = HOSTS_AT_ONCE + NOTICES_AT_ONCE + BATCHES_AT_ONCE  # of the queue


class Places:
    """So many at once."""

    def __init__(self, count: int, *, patience_s: float = 0.0) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience_s = patience_s

    @contextlib.asynccontextmanager
    async def soon(self) -> AsyncIterator[bool]:
        """Whether a place came free in time; if so it is taken while the block runs."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self._free.release()

    @contextlib.asynccontextmanager
    async def some_time(self) -> AsyncIterator[None]:
        """A place, however long that takes."""
        async with self._free:
            yield
