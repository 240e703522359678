"""The months of `checks`."""

from libs.common.db.pool import Database


async def keep_checks(db: Database) -> None:
    """Create the months ahead and drop those that are no longer kept; cheap when there is nothing to do."""
    await db.execute("SELECT checks_keep_partitions()")
