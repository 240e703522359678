"""The inbox: a message has its effect once, however often it is delivered. (`Tx` itself is in `pool.py`.)"""

from uuid import UUID

from libs.common.db.errors import NoPartition, TooOld
from libs.common.db.pool import Database, Tx
from libs.common.telemetry.metrics import Counter

INBOX_DUPLICATES = Counter(
    "fangate_inbox_duplicates_total", "Messages delivered again after they had their effect", ["consumer"]
)


async def accept_once(tx: Tx, consumer: str, message_id: UUID) -> bool:
    """Note, in the transaction of its effect, that `consumer` handles the message: first statement of every handler.

    False = it was handled before; return without doing anything. Two deliveries at once wait for each other here.
    Raises TooOld when the id lies outside the 14 days that are remembered (it can only go to the dead letters).
    """
    try:
        fresh = await tx.fetchval(
            "INSERT INTO inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            consumer,
            message_id,
        )
    except NoPartition as exc:
        raise TooOld(f"message {message_id} is outside the inbox") from exc
    if fresh is None:
        INBOX_DUPLICATES.labels(consumer).inc()
    return fresh is not None


async def keep_inbox(db: Database) -> None:
    """Create the days ahead and drop the days that are no longer kept; cheap when there is nothing to do."""
    await db.execute("SELECT inbox_keep_partitions()")
