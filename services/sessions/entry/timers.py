"""What happens by the clock: refreshes that are due, lost nudges, old fence rows, the caches' look at the truth, figures."""

from libs.common.db.pool import Database
from libs.common.db.timers import Timer
from libs.common.db.tx import keep_inbox
from libs.common.telemetry.metrics import Counter, Gauge
from services.sessions.domain.model import State
from services.sessions.store.model_cache import LOOK_SECONDS, CachedModels
from services.sessions.store.postgres import PostgresModels, PostgresSweepings
from services.sessions.store.upstream_calls import PostgresUpstreamCalls

MODELS = Gauge("fangate_models", "Models by state", ["state"])
CALLS_UNKNOWN = Counter("fangate_upstream_calls_unknown_total", "Fenced calls whose outcome nobody will ever know")
REFRESHES_ENQUEUED = Counter("fangate_session_refreshes_due_total", "Refreshes enqueued because they were due")
MODELS_NUDGED = Counter("fangate_models_nudged_total", "Models that had not moved for ten minutes and got a new job")


def timers(
    db: Database,
    *,
    models: PostgresModels,
    cache: CachedModels,
    sweepings: PostgresSweepings,
    calls: PostgresUpstreamCalls,
) -> list[Timer]:
    """All timers of the service."""

    async def refresh_due() -> None:
        REFRESHES_ENQUEUED.inc(await sweepings.enqueue_due_refreshes())

    async def nudge() -> None:
        MODELS_NUDGED.inc(await sweepings.nudge_stuck())

    async def close_calls() -> None:
        unknown, _bodies, _rows = await calls.close_old_calls()
        CALLS_UNKNOWN.inc(unknown)

    async def count_models() -> None:
        counts = await models.count_states()
        for state in State:
            MODELS.labels(state).set(counts.get(state, 0))

    async def inbox() -> None:
        await keep_inbox(db)

    return [
        Timer("refresh due sessions", 1.0, refresh_due),
        Timer("nudge stuck models", 60.0, nudge),
        Timer("close old calls", 60.0, close_calls),
        Timer("look for changed models", LOOK_SECONDS, cache.look),
        Timer("count models", 15.0, count_models),
        Timer("keep inbox", 3_600.0, inbox),
    ]
