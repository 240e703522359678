"""End URLs that come to nothing, and give their credits back: cancelled, without a contact, or with processing that failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.takedowns.domain.ports import Refunds, UrlOwner
from services.takedowns.domain.states import Event, sources, step

GATHER_SECONDS: Final = 20.0  # one ledger line for many URLs of a batch
BATCHES_MAX: Final = 200  # of one run


@dataclass(frozen=True, slots=True)
class RefundUrls:
    """`event` is what happened to them (CANCELLED, POISONED, CONTACT_NOT_FOUND); answers how many ended. Repeating it is safe."""

    refunds: Refunds

    async def __call__(self, owner: UrlOwner, url_ids: Sequence[UUID], event: Event, *, reason: str = "") -> int:
        possible = sources(event)
        steps = {step(state, event) for state in possible}
        assert len(steps) == 1, "an event that refunds ends all URLs in one state"
        only = steps.pop()
        assert only.is_refunded, f"{event} gives no credits back"
        return await self.refunds.refund(owner, url_ids, to=only.to, sources=possible, reason=reason or event.value)


@dataclass(frozen=True, slots=True)
class SendRefunds:
    """Publish what gathered; answers how many batches' refunds left."""

    refunds: Refunds
    gather_s: float = GATHER_SECONDS

    async def __call__(self) -> int:
        return await self.refunds.send(older_s=self.gather_s, limit=BATCHES_MAX)
