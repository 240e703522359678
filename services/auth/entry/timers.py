"""What auth does again and again, without being asked."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer

FORGET_SECONDS: Final = 600.0
END_GRANTS_SECONDS: Final = 30.0  # what a crash left over of an app's end lives this much longer, in caches only


def timers(
    *,
    forget_calls: Callable[[], Awaitable[int]],
    end_dead_grants: Callable[[], Awaitable[int]],
    forget_sign_ins: Callable[[], Awaitable[int]],
) -> list[Timer]:
    """All timers of the service. What they do is safe in any number of processes at once."""

    def whole(portion: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            while await portion():  # in portions, so that no transaction is long
                pass

        return run

    return [
        Timer("forget old calls", FORGET_SECONDS, whole(forget_calls)),
        Timer("end dead grants", END_GRANTS_SECONDS, whole(end_dead_grants)),
        Timer("forget old sign-ins", FORGET_SECONDS, whole(forget_sign_ins)),
    ]
