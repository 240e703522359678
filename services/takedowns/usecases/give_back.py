"""Give the credits back of URLs that come to nothing while they are under way: there is nobody to tell, nothing could be delivered, or a
defect of ours meets them again and again. Once each, whoever asks: no notice ever left for them, and the row remembers.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.errors import FangateError, Transient
from services.takedowns.domain.ports import Refunds, UrlOwner
from services.takedowns.domain.progress_ports import Progress, UrlRef
from services.takedowns.domain.states import Event, State, sources

FAILURES_MAX: Final = 3  # in a row, five minutes apart
WORLDS: Final = (FangateError, Transient, OSError)  # not a defect: what was begun is claimed again and done later

Owners = Mapping[UrlRef, UrlOwner]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """`failed` is told of each defect."""

    progress: Progress
    refunds: Refunds
    failed: Callable[[Exception], None]

    async def __call__(self, owners: Owners, *, states: Sequence[State], reason: str) -> None:
        """End those of these URLs that are in `states`."""
        by_owner: defaultdict[UrlOwner, list[uuid.UUID]] = defaultdict(list)
        for ref, owner in owners.items():
            by_owner[owner].append(ref.id)
        for owner, ids in by_owner.items():
            await self.refunds.refund(owner, ids, to=State.FAILED_REFUNDED, sources=states, reason=reason)

    async def after_defect(self, error: Exception, owners: Owners, *, now: datetime) -> None:
        """`error` stopped the processing of these. They are tried again twice; then their credits return."""
        self.failed(error)
        tries = await self.progress.count_failures(list(owners), now=now)
        hopeless = {ref: owner for ref, owner in owners.items() if tries[ref] >= FAILURES_MAX}
        await self(hopeless, states=sources(Event.POISONED), reason="processing failed")
