"""What happens by the clock. What timers do is safe in any number of processes at once."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer
from services.takedowns.entry.metrics import BATCHES_LEASING, BATCHES_SETTLED, REFUNDS_SENT
from services.takedowns.usecases import UseCases

REFUNDS_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 30.0
COUNT_SECONDS: Final = 15.0
KEEP_SECONDS: Final = 3_600.0


def timers(
    do: UseCases,
    *,
    count_leasing: Callable[[], Awaitable[int]],
    forget_replies: Callable[[], Awaitable[None]],
    keep_checks: Callable[[], Awaitable[None]],
) -> list[Timer]:
    """All timers of the service."""

    async def send_refunds() -> None:
        REFUNDS_SENT.inc(await do.send_refunds())

    async def settle_batches() -> None:
        BATCHES_SETTLED.inc(await do.settle_batches())

    async def count() -> None:
        BATCHES_LEASING.set(await count_leasing())

    async def purge_creators() -> None:
        await do.purge_creators()

    return [
        Timer("send refunds", REFUNDS_SECONDS, send_refunds),
        Timer("settle batches", SWEEP_SECONDS, settle_batches),
        Timer("count batches", COUNT_SECONDS, count),
        Timer("purge creators", KEEP_SECONDS, purge_creators),
        Timer("forget replies", KEEP_SECONDS, forget_replies),
        Timer("keep checks", KEEP_SECONDS, keep_checks),
    ]
