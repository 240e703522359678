"""What auth does by the clock."""

from typing import Final

from libs.common.db.pool import Database
from libs.common.db.timers import Timer
from libs.common.db.tx import keep_inbox

INBOX_SECONDS: Final = 3_600.0  # days are made three ahead, so a missed hour does not matter


def timers(db: Database) -> list[Timer]:
    """All timers of the service."""

    async def keep() -> None:
        await keep_inbox(db)

    return [Timer("inbox days", INBOX_SECONDS, keep)]
