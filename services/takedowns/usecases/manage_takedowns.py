"""What organizations ask about their URLs under way, and the little they can change: look again, cancel, say that it is filed."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.notices import (
    ActionPage,
    CancelTakedown,
    FileTakedown,
    GetHost,
    GetNotice,
    GetTakedown,
    GetTakedownSummary,
    HostShown,
    ListActions,
    ListTakedowns,
    NoticeShown,
    RecheckTakedown,
    TakedownAnswer,
    TakedownChanged,
    TakedownPage,
    TakedownShown,
    TakedownSummary,
)
from services.takedowns.domain.errors import BatchNotFound, CreatorNotFound, InvalidRequest
from services.takedowns.domain.notice_errors import HostNotFound, NoticeNotFound, NotPossible, TakedownNotFound
from services.takedowns.domain.ports import Refunds, UrlOwner
from services.takedowns.domain.progress_ports import Progress, UrlRef
from services.takedowns.domain.states import REFUNDABLE, Event, State
from services.takedowns.domain.takedown_ports import Takedowns
from services.takedowns.domain.verdict import AFTER_NOTICE
from services.takedowns.usecases.check_urls import STATES as LOOKED_AT

PAGE_MAX: Final = 1_000
LOOKED_LATELY: Final = timedelta(minutes=10)
STATES: Final = {state.word: state for state in State}


@dataclass(frozen=True, slots=True)
class ManageTakedowns:
    """One method a command."""

    takedowns: Takedowns
    progress: Progress
    refunds: Refunds
    clock: Clock

    async def page(self, asked: ListTakedowns) -> TakedownPage:
        """Raises InvalidRequest without a creator or batch, CreatorNotFound, BatchNotFound."""
        if asked.creator_id is None and asked.batch_id is None:
            raise InvalidRequest("creator_id or batch_id is required")
        if asked.state is not None and asked.state not in STATES:
            raise InvalidRequest(f"state: expected one of {', '.join(STATES)}")
        if asked.creator_id is not None and not await self.takedowns.has_creator(asked.org_id, asked.creator_id):
            raise CreatorNotFound
        if asked.batch_id is not None and not await self.takedowns.has_batch(asked.org_id, asked.batch_id):
            raise BatchNotFound
        state = STATES[asked.state] if asked.state is not None else None
        found = await self.takedowns.page(asked, state=state)
        more = found[-1].id if found and len(found) == asked.limit else None
        return TakedownPage(takedowns=tuple(found), next_after=more)

    async def show(self, asked: GetTakedown) -> TakedownAnswer:
        """Raises TakedownNotFound."""
        _, ref, shown = await self._find(asked.org_id, asked.takedown_id)
        return await self.takedowns.history(ref, shown)

    async def summary(self, asked: GetTakedownSummary) -> TakedownSummary:
        """Raises CreatorNotFound."""
        if asked.creator_id is not None and not await self.takedowns.has_creator(asked.org_id, asked.creator_id):
            raise CreatorNotFound
        return await self.takedowns.summary(asked.org_id, asked.creator_id, now=self.clock.now())

    async def recheck(self, asked: RecheckTakedown) -> TakedownChanged:
        """Raises TakedownNotFound, NotPossible."""
        _, ref, shown = await self._find(asked.org_id, asked.takedown_id)
        if STATES[shown.state] not in LOOKED_AT:
            raise NotPossible(f"A takedown that is {shown.state} is not looked at")
        now = self.clock.now()
        if shown.checked_at is None or now - shown.checked_at > LOOKED_LATELY:
            async with self.progress.transaction() as tx:
                await tx.rearm([ref], now, states=LOOKED_AT)
        return await self._changed(asked.org_id, asked.takedown_id)

    async def cancel(self, asked: CancelTakedown) -> TakedownChanged:
        """Raises TakedownNotFound, and NotPossible once a notice left."""
        owner, ref, shown = await self._find(asked.org_id, asked.takedown_id)
        if STATES[shown.state] is State.CANCELLED:
            return TakedownChanged(takedown=shown)
        ended = 0
        if not await self.takedowns.is_being_sent(ref):
            ended = await self.refunds.refund(
                owner, [ref.id], to=State.CANCELLED, sources=list(REFUNDABLE), reason="cancelled"
            )
        if not ended:
            raise NotPossible("A notice has left: it cannot be cancelled any more")
        return await self._changed(asked.org_id, asked.takedown_id)

    async def file(self, asked: FileTakedown) -> TakedownChanged:
        """The action of this URL is done, for all of its URLs. Raises TakedownNotFound, NotPossible."""
        _, ref, _shown = await self._find(asked.org_id, asked.takedown_id)
        notice_id = await self.takedowns.open_action(asked.org_id, ref)
        if notice_id is None:
            raise NotPossible("Nothing is to be done for this takedown")
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await tx.hold_notice(notice_id)
            assert notice is not None
            moved = await tx.move(
                Event.FILED, notice.all_urls, now=now, next_at=now + AFTER_NOTICE[0], reason="filed by hand",
                sets_first_notice=True,
            )  # fmt: skip
            if moved:
                await tx.update_notice(
                    notice_id, status="sent", reason="filed by hand", sent_at=now, ticket=asked.reference
                )
                await tx.count_host(notice.host.id, sent=1)
            await tx.close_actions(notice_id, by=asked.by, now=now)
        return await self._changed(asked.org_id, asked.takedown_id)

    async def notice(self, asked: GetNotice) -> NoticeShown:
        """Raises NoticeNotFound."""
        found = await self.takedowns.notice(asked.org_id, asked.notice_id)
        if found is None:
            raise NoticeNotFound
        return found

    async def host(self, asked: GetHost) -> HostShown:
        """Raises HostNotFound."""
        found = await self.takedowns.host(asked.host.lower().removeprefix("www."), now=self.clock.now())
        if found is None:
            raise HostNotFound
        return found

    async def actions(self, asked: ListActions) -> ActionPage:
        found = await self.takedowns.actions(asked.org_id, after=asked.after, limit=asked.limit)
        more = found[-1].id if found and len(found) == asked.limit else None
        return ActionPage(actions=tuple(found), next_after=more)

    async def _find(self, org_id: uuid.UUID, id_: uuid.UUID) -> tuple[UrlOwner, UrlRef, TakedownShown]:
        found = await self.takedowns.find(org_id, id_)
        if found is None:
            raise TakedownNotFound
        return found

    async def _changed(self, org_id: uuid.UUID, id_: uuid.UUID) -> TakedownChanged:
        return TakedownChanged(takedown=(await self._find(org_id, id_))[2])
