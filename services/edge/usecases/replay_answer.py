"""A request under an `Idempotency-Key`: carried out once, its answer given again for 24 hours, free of charge.

Rows 9 to 11 of the order of checks change places here: the request is read and its key looked up before credits are asked
for, so that the answer bought with the last credit is not lost to a 402.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.common.errors import Refused, Unconfirmed
from services.edge.domain.idempotency import Asking, Claim, Fate, Kept, fate_of
from services.edge.domain.ports import KeptAnswers
from services.edge.domain.refusal import Refusal
from services.edge.usecases.admit import Admit
from services.edge.usecases.proxy_call import Call


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """Admit, read, claim the key, answer, keep the answer; or give the one that was kept."""

    admit: Admit
    answers: KeptAnswers

    async def __call__(
        self, call: Call, read: Callable[[Call], Awaitable[Asking]], answer: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        """`read` takes the request in once the call is admitted; `answer` carries it out, and admits it once more for its
        price. `call.is_replayed` tells whose answer it is. Raises Refusal, Refused, Unconfirmed.
        """
        call.caller, call.reserved = await self.admit(
            call.caller, call.credential, call.route, address=call.address, cost=0, refusal=call.refusal,
            is_counted=call.is_counted,
        )  # fmt: skip
        asking = await read(call)
        found = await self.answers.claim(asking, call.id)
        if isinstance(found, Kept):
            call.is_replayed = True
            return _told(found)
        call.id, call.is_counted = found.call_id, False
        call.debit_id, call.earlier_debits = found.debit_id, found.earlier_debits
        if found.is_taken_over and not call.route.may_go_on:
            # Somebody asked a service for it and was not seen to finish; nobody but that service knows, and it has no fence.
            unknown = Refusal("OUTCOME_UNKNOWN", _LOST)
            await self.answers.keep(found, _kept(unknown))
            raise unknown
        return await self._first(call, found, answer)

    async def _first(self, call: Call, claim: Claim, answer: Callable[[], Awaitable[Kept]]) -> Kept:
        try:
            kept = await answer()
        except Refusal as refusal:
            await self._settle(call, claim, refusal)
            raise
        except Refused:
            # Carried out, and certainly not recorded: under the same call id the fence repeats the answer, which is paid then.
            await self.answers.hold(claim)
            raise
        except (Unconfirmed, asyncio.CancelledError):
            # Carried out, and what may be recorded is voided: the fence repeats the answer, which is paid under another id then.
            if call.upstream is not None:
                await asyncio.shield(self.answers.hold(claim, may_have_paid=True))
            raise
        # Anything else leaves the claim to run out: nobody knows how far the request came.
        await self.answers.keep(claim, kept)
        return kept

    async def _settle(self, call: Call, claim: Claim, refusal: Refusal) -> None:
        match fate_of(refusal, call.route, has_left=call.has_left, is_taken_over=claim.is_taken_over):
            case Fate.KEEP:
                await self.answers.keep(claim, _kept(refusal))
            case Fate.FREE:
                await self.answers.free(claim)
            case Fate.HOLD:
                await self.answers.hold(claim)
            case Fate.LEAVE:
                pass


_LOST = "The first answer was lost: the request may have been carried out, look before repeating it under a new key"


def _kept(refusal: Refusal) -> Kept:
    return Kept(refusal.status, refusal.public.encode(), refusal.code)


def _told(kept: Kept) -> Kept:
    """`kept`, if it is a success. Raises the Refusal that it is otherwise."""
    if kept.code:
        raise Refusal(kept.code, kept.body.decode(), status=kept.status)
    return kept
