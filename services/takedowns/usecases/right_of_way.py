"""Submissions have somebody waiting for their answer; what follows an acceptance has ten minutes. Both share one loop and one
database, so the second lets the first pass.
"""

import asyncio
from types import TracebackType
from typing import Final

PASS_SECONDS_MAX: Final = (
    0.1  # for one piece of work: under submissions without end ten slices of URLs a second still go on
)


class RightOfWay:
    """Entered by whoever has it; `give_way` is for the others."""

    def __init__(self) -> None:
        self._under_way = 0
        self._is_free = asyncio.Event()
        self._is_free.set()

    def __enter__(self) -> None:
        self._under_way += 1
        self._is_free.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._is_free.set()

    async def give_way(self) -> None:
        """Wait while anybody has it, but no longer than PASS_SECONDS_MAX."""
        if self._is_free.is_set():
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(PASS_SECONDS_MAX):
                await self._is_free.wait()
        except TimeoutError:
            return  # its turn all the same
