"""What happens by the clock: refreshes that are due, lost nudges, old fence rows, the caches' look at the truth, figures."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from libs.common.db.timers import Timer
from libs.common.telemetry.metrics import Counter, Gauge
from services.sessions.domain.model import State

MODELS = Gauge("fangate_models", "Models by state", ["state"])
CALLS_UNKNOWN = Counter("fangate_upstream_calls_unknown_total", "Fenced calls whose outcome nobody will ever know")
REFRESHES_ENQUEUED = Counter("fangate_session_refreshes_due_total", "Refreshes enqueued because they were due")
REFRESHES_OVERDUE = Gauge("fangate_session_refreshes_overdue", "Sessions that should have been renewed a minute ago")
MODELS_NUDGED = Counter("fangate_models_nudged_total", "Models that had not moved for ten minutes and got a new job")

DUE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 1.0  # how long another process' change of a model may stay unseen
SWEEP_SECONDS: Final = 60.0
COUNT_SECONDS: Final = 15.0
LINKS_SECONDS: Final = 3_600.0


def timers(
    *,
    enqueue_due_refreshes: Callable[[], Awaitable[int]],
    nudge_stuck: Callable[[], Awaitable[int]],
    close_old_calls: Callable[[], Awaitable[Sequence[int]]],
    look: Callable[[], Awaitable[None]],
    count_states: Callable[[], Awaitable[Mapping[str, int]]],
    count_overdue: Callable[[], Awaitable[int]],
    drop_old_links: Callable[[], Awaitable[None]],
) -> list[Timer]:
    """All timers of the service. What they do is safe in any number of processes at once."""

    async def refresh_due() -> None:
        REFRESHES_ENQUEUED.inc(await enqueue_due_refreshes())

    async def nudge() -> None:
        MODELS_NUDGED.inc(await nudge_stuck())

    async def close_calls() -> None:
        unknown, _bodies, _rows = await close_old_calls()
        CALLS_UNKNOWN.inc(unknown)

    async def count_models() -> None:
        counts = await count_states()
        for state in State:
            MODELS.labels(state).set(counts.get(state, 0))
        REFRESHES_OVERDUE.set(await count_overdue())

    return [
        Timer("refresh due sessions", DUE_SECONDS, refresh_due),
        Timer("look for changed models", LOOK_SECONDS, look),
        Timer("nudge stuck models", SWEEP_SECONDS, nudge),
        Timer("close old calls", SWEEP_SECONDS, close_calls),
        Timer("count models", COUNT_SECONDS, count_models),
        Timer("drop old links", LINKS_SECONDS, drop_old_links),
    ]
