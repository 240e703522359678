"""One run at a time per key within this process: who comes while it runs gets the same result."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs are tasks of their own: a caller that gives up does not end them for the others."""

    def __init__(self) -> None:
        self._running: dict[uuid.UUID, asyncio.Task[T]] = {}

    async def run(self, key: uuid.UUID, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, or of the run of `key` that is under way."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(_awaited(work), name=f"single flight {key}")
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: uuid.UUID, task: asyncio.Task[T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at, also when every caller has gone


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
