"""What follows from the deletion of a creator: what can be refunded is cancelled, what is under way stops; personal data go later."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.takedowns import ForgetCreator as Job
from libs.common.errors import Transient
from services.takedowns.domain.ports import Creators, Refunds
from services.takedowns.domain.states import Event
from services.takedowns.usecases.refund_urls import RefundUrls

URLS_MAX: Final = 1_000  # of one transaction
KEPT_DAYS: Final = 30  # personal data of a deleted creator
CREATORS_MAX: Final = 100  # purged in one run


@dataclass(frozen=True, slots=True)
class ForgetCreator:
    """Raises Transient while a batch with URLs of the creator is being stored. Repeating it is safe."""

    refunds: Refunds
    refund_urls: RefundUrls

    async def __call__(self, job: Job) -> None:
        owner = await self.refunds.deleted_creator(job.org_id, job.creator_id)
        if owner is None:
            return
        await self.refunds.stop(owner)
        if await self.refunds.is_under_way(owner):
            raise Transient("a batch of the deleted creator is not settled yet")
        while url_ids := await self.refunds.refundable(owner, limit=URLS_MAX):
            if not await self.refund_urls(owner, url_ids, Event.CANCELLED, reason="creator_deleted"):
                raise Transient("URLs of the deleted creator are being moved by others")


@dataclass(frozen=True, slots=True)
class PurgeCreators:
    """Wipe the personal data of creators that were deleted long enough ago; answers how many."""

    creators: Creators
    clock: Clock

    async def __call__(self) -> int:
        before = self.clock.now() - timedelta(days=KEPT_DAYS)
        return await self.creators.purge(deleted_before=before, limit=CREATORS_MAX)
