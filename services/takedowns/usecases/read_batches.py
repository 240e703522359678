"""Look at batches."""

from dataclasses import dataclass
from typing import Final

from libs.common.contracts.takedowns import BatchAnswer, BatchPage, GetBatch, ListBatches
from services.takedowns.domain.errors import BatchNotFound
from services.takedowns.domain.ports import Batches

PAGE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ReadBatches:
    """A batch of another organization is not found."""

    batches: Batches

    async def page(self, request: ListBatches) -> BatchPage:
        """Newest first."""
        limit = min(max(request.limit, 1), PAGE_MAX)
        found = await self.batches.page(request.org_id, limit=limit + 1, after=request.after)
        page = tuple(found[:limit])
        return BatchPage(batches=page, next_after=page[-1].batch_id if len(found) > limit else None)

    async def show(self, request: GetBatch) -> BatchAnswer:
        """Raises BatchNotFound."""
        answer = await self.batches.show(request.org_id, request.batch_id)
        if answer is None:
            raise BatchNotFound
        return answer
