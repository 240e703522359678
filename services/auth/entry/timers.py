"""What auth does again and again, without being asked."""

from collections.abc import Awaitable, Callable
from typing import Final

from libs.common.db.timers import Timer
from services.auth.entry.deliveries import look_at_overdue
from services.auth.usecases.deliver_webhooks import DeliverWebhooks

FORGET_SECONDS: Final = 600.0
END_GRANTS_SECONDS: Final = 30.0  # what a crash left over of an app's end lives this much longer, in caches only
OVERDUE_SECONDS: Final = 10.0


def timers(
    *,
    forget_calls: Callable[[], Awaitable[int]],
    forget_old: Callable[[], Awaitable[int]],
    end_dead_grants: Callable[[], Awaitable[int]],
    forget_sign_ins: Callable[[], Awaitable[int]],
    webhooks: DeliverWebhooks,
) -> list[Timer]:
    """All timers of the service. What they do is safe in any number of processes at once."""

    def all_of(forget: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[None]]:
        async def forget_all() -> None:
            while await forget():  # in portions, so that no transaction is long
                pass

        return forget_all

    async def look() -> None:
        await look_at_overdue(webhooks)

    return [
        Timer("forget old calls", FORGET_SECONDS, all_of(forget_calls)),
        Timer("forget old people and links", FORGET_SECONDS, all_of(forget_old)),
        Timer("forget old webhooks", FORGET_SECONDS, all_of(webhooks.forget)),
        Timer("end dead grants", END_GRANTS_SECONDS, all_of(end_dead_grants)),
        Timer("forget old sign-ins", FORGET_SECONDS, all_of(forget_sign_ins)),
        Timer("webhooks overdue", OVERDUE_SECONDS, look),
    ]
