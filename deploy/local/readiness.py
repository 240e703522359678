"""Waiting for a server that we started: a protocol exchange that proves it is ours, never a bare TCP connect, for the port
may have been taken by somebody else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from deploy.local.children import Child, ChildFailedError

READY_SECONDS_MAX: Final = 60.0
_AGAIN_SECONDS: Final = 0.05


class NotOursError(Exception):
    """Whoever answers on the port is not the server that we started there."""


async def until_ready(
    child: Child, check: Callable[[], Awaitable[None]], *, timeout_s: float = READY_SECONDS_MAX
) -> None:
    """Repeat `check` until it no longer raises. Raises ChildFailedError, with the end of the log, if `child` ends or the
    time is over; NotOursError passes through at once.
    """
    end = time.monotonic() + timeout_s
    while True:
        if child.exit_code is not None:
            raise ChildFailedError(f"{child.name} ended with code {child.exit_code}:\n{child.tail()}")
        try:
            async with asyncio.timeout(5.0):
                await check()
        except (NotOursError, Warning):
            raise
        except Exception as exc:  # whatever a server that is still starting may answer
            if time.monotonic() >= end:
                raise ChildFailedError(
                    f"{child.name} not ready in {timeout_s:.0f} s ({exc!r}):\n{child.tail()}"
                ) from exc
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return
