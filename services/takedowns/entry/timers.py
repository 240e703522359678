"""What happens by the clock. What timers do is safe in any number of processes at once."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer

PARTITIONS_SECONDS: Final = 3_600.0


def timers(*, keep_checks: Callable[[], Awaitable[None]]) -> list[Timer]:
    """All timers of the service."""
    return [Timer("keep checks", PARTITIONS_SECONDS, keep_checks)]
