"""What auth does again and again, without being asked."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer

FORGET_SECONDS: Final = 600.0


def timers(*, forget_calls: Callable[[], Awaitable[int]], forget_old: Callable[[], Awaitable[int]]) -> list[Timer]:
    """All timers of the service. What they do is safe in any number of processes at once."""

    async def forget() -> None:
        while await forget_calls():  # in portions, so that no transaction is long
            pass

    async def forget_rest() -> None:
        while await forget_old():
            pass

    return [
        Timer("forget old calls", FORGET_SECONDS, forget),
        Timer("forget old people and links", FORGET_SECONDS, forget_rest),
    ]
