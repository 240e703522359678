"""The relay: takes the outbox to the bus. One in every process that writes; any number work side by side.

Rows are deleted when the broker has confirmed them, in the transaction that claimed them: a crash in between publishes a
message twice, never not at all, and the inbox of the consumer absorbs it. No order across transactions is promised.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from libs.common.contracts.wire import Outgoing, Publisher
from libs.common.db.errors import LockTimeout
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.tx import keep_inbox
from libs.common.errors import Refused, Transient, Unconfirmed
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Gauge

BATCH: Final = 200  # rows of one transaction; their confirms are awaited together
CONFIRM_SECONDS: Final = 5.0
POLL_SECONDS: Final = 1.0  # what another process committed, or left behind, is found after this
BACKOFF_SECONDS_MAX: Final = 5.0  # between attempts while nothing is taken
MEASURE_SECONDS: Final = 5.0
COUNT_MAX: Final = 100_000  # the gauge stops counting here
KEEP_INBOX_SECONDS: Final = 3600.0
KEEP_AGAIN_SECONDS: Final = 60.0

OUTBOX_PENDING = Gauge("fangate_outbox_pending", "Messages in the outbox that are not on the bus yet")
OUTBOX_OLDEST = Gauge("fangate_outbox_oldest_seconds", "Age of the oldest message in the outbox")

_COLUMNS: Final = "SELECT id, message_id, type, exchange, routing_key, headers, body FROM outbox"
_CLAIM: Final = f"{_COLUMNS} ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
_CLAIM_ALL: Final = f"{_COLUMNS} WHERE id > $2 ORDER BY id LIMIT $1 FOR UPDATE"
_DELETE: Final = "DELETE FROM outbox WHERE id = ANY($1)"
_MEASURE: Final = """SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS rows) AS pending,
    coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at) FROM outbox ORDER BY id LIMIT 1), 0)::float8 AS oldest"""

_log = logger(__name__)


class Relay:
    """`run` for ever in the background, `flush` at the end of a drain or of a command."""

    def __init__(self, db: Database, publisher: Publisher, outbox: Outbox) -> None:
        self._db = db
        self._publisher = publisher
        self._outbox = outbox
        self._measure_at = self._keep_at = 0.0  # of the loop's clock: at once

    async def run(self) -> None:
        """Publish what is committed, woken by `outbox.wake` or every second; back off while the bus or the database is away.

        Also looks after the inbox's partitions once an hour: whoever has the one table has the other.
        """
        failures = 0
        while True:
            self._outbox.wake.clear()  # before the look: what is committed during it wakes us again
            try:
                claimed, published = await self._pass()
                await self._look_after()
            except Transient as exc:
                _log.warning("the outbox waits", error=str(exc))
                claimed, published = 1, 0
            failures = failures + 1 if claimed and not published else 0
            if failures:
                await asyncio.sleep(min(BACKOFF_SECONDS_MAX, POLL_SECONDS * 2 ** (failures - 1)))
            elif claimed < BATCH:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._outbox.wake.wait(), POLL_SECONDS)

    async def flush(self) -> int:
        """Publish everything that was committed before the call, once through; answers how many messages were taken.

        Waits for other relays that are at it: when this returns, what is still in the outbox was refused or not confirmed.
        Raises DatabaseAway.
        """
        taken, after = 0, 0
        while True:
            async with self._db.transaction() as tx:
                rows = await tx.fetch(_CLAIM_ALL, BATCH, after)
                taken += await self._publish(tx, rows)
            if len(rows) < BATCH:
                return taken
            after = rows[-1]["id"]

    async def _pass(self) -> tuple[int, int]:
        async with self._db.transaction() as tx:
            rows = await tx.fetch(_CLAIM, BATCH)
            return len(rows), await self._publish(tx, rows)

    async def _publish(self, tx: Tx, rows: Sequence[Record]) -> int:
        if not rows:
            return 0
        outcomes = await asyncio.gather(
            *(self._publisher.publish(_outgoing(row), timeout_s=CONFIRM_SECONDS) for row in rows),
            return_exceptions=True,
        )
        confirmed = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                confirmed.append(row["id"])
            elif isinstance(outcome, Refused | Unconfirmed):
                _log.warning("a message stays in the outbox", type=row["type"], reason=str(outcome))
            elif isinstance(outcome, Exception):  # ours; the row stays, is shown by its age, and stops no other
                _log.error("a message cannot be published", type=row["type"], outbox_id=row["id"], exc_info=outcome)
            else:
                raise outcome
        if confirmed:
            await tx.execute(_DELETE, confirmed)
        return len(confirmed)

    async def _look_after(self) -> None:
        """The gauges every 5 s, the inbox's days every hour, and a minute after a lock was in the way."""
        now = asyncio.get_running_loop().time()
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_SECONDS
            row = await self._db.fetchrow(_MEASURE, COUNT_MAX)
            assert row is not None
            OUTBOX_PENDING.set(row["pending"])
            OUTBOX_OLDEST.set(row["oldest"])
        if now >= self._keep_at:
            self._keep_at = now + KEEP_AGAIN_SECONDS
            with contextlib.suppress(LockTimeout):
                await keep_inbox(self._db)
                self._keep_at = now + KEEP_INBOX_SECONDS


def _outgoing(row: Record) -> Outgoing:
    return Outgoing(
        message_id=row["message_id"],
        type=row["type"],
        exchange=row["exchange"],
        routing_key=row["routing_key"],
        headers=row["headers"],
        body=row["body"],
    )
