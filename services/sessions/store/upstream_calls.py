"""The fence on Postgres: a write to a platform is started once, whatever is delivered how often."""

import uuid
from collections.abc import Sequence
from typing import Final

import msgspec

from libs.common.db.pool import Database
from libs.common.db.queries import load_queries
from services.sessions.domain.errors import OutcomeUnknown
from services.sessions.domain.upstream_call import Outcome, Recorded

QUERIES: Final = load_queries(__package__)
BODY_BYTES_MAX: Final = 256 << 10  # answers to writes are small; a larger one is not kept for a redelivery
UNKNOWN_AFTER_SECONDS: Final = 600  # no call takes that long: whoever started it is gone
BODIES_SECONDS: Final = 3_600  # redeliveries come within seconds
ROWS_SECONDS: Final = 30 * 86_400
ROWS_PER_SWEEP: Final = 5_000


class PostgresUpstreamCalls:
    """The port `UpstreamCalls`, and its sweeper."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def start(self, call_id: uuid.UUID, org_id: uuid.UUID, model_id: uuid.UUID, route: str) -> Recorded | None:
        # A single statement commits by itself: when this returns, the row stands.
        if await self._db.fetchval(QUERIES.start_call, call_id, org_id, model_id, route) is not None:
            return None
        recorded = await self.find(call_id, org_id)
        if recorded is None:  # another organization's: nobody makes such ids
            raise OutcomeUnknown(detail="the call was started before")
        return recorded

    async def find(self, call_id: uuid.UUID, org_id: uuid.UUID) -> Recorded | None:
        row = await self._db.fetchrow(QUERIES.find_call, call_id, org_id)
        if row is None:
            return None
        if row["state"] != "finished":
            raise OutcomeUnknown(detail="the call was started before")
        return Recorded(call_id, msgspec.convert(row["outcome"], Outcome), row["body"])

    async def finish(self, call_id: uuid.UUID, outcome: Outcome, body: bytes) -> None:
        kept = body if len(body) <= BODY_BYTES_MAX else None
        await self._db.execute(QUERIES.finish_call, call_id, msgspec.to_builtins(outcome), kept)

    async def close_old_calls(self) -> Sequence[int]:
        """Old `started` rows become `unknown`; old bodies, then old rows, go. Answers the three counts."""
        return (
            _count(await self._db.execute(QUERIES.close_started, float(UNKNOWN_AFTER_SECONDS))),
            _count(await self._db.execute(QUERIES.drop_bodies, float(BODIES_SECONDS))),
            _count(await self._db.execute(QUERIES.drop_calls, float(ROWS_SECONDS), ROWS_PER_SWEEP)),
        )


def _count(tag: str) -> int:
    """The number in a command tag (`UPDATE 3`)."""
    return int(tag.rsplit(" ", 1)[1])
