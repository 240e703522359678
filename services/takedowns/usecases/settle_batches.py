"""The sweeper: batches whose submission ended half-way, by a crash or a cut-off, are settled by what is stored of them."""

from dataclasses import dataclass
from typing import Final

from services.takedowns.domain.ports import Submissions

LEASING_SECONDS_MAX: Final = 120.0  # a submission has 25 s
BATCHES_MAX: Final = 50  # of one run


@dataclass(frozen=True, slots=True)
class SettleBatches:
    """Answers how many. Safe beside a slow worker: both take the batch's row, and its status decides."""

    submissions: Submissions
    leasing_s: float = LEASING_SECONDS_MAX

    async def __call__(self) -> int:
        stuck = await self.submissions.stuck(older_s=self.leasing_s, limit=BATCHES_MAX)
        for batch_id in stuck:
            await self.submissions.give_up(batch_id)
        return len(stuck)
