"""What the edge does again and again, without being asked."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer

SWEEP_SECONDS: Final = 60.0


def timers(*, forget_old_keys: Callable[[], Awaitable[None]]) -> list[Timer]:
    """All timers of the service. What they do is safe in any number of processes at once."""
    return [Timer("forget old idempotency keys", SWEEP_SECONDS, forget_old_keys)]
