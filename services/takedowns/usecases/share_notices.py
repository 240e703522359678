"""Publish copies of notices in the Lumen database, for organizations that chose so. Off by default, and never of what was not sent, is not about
copyright, or is a sandbox's. What may have been published is not published again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.notices import GetTakedownSettings, TakedownSettings, UpdateTakedownSettings
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.public_copy import PublicRecord, SharedNotices, copy_of

LIMIT: Final = 50  # of one turn
CLAIMED_FOR: Final = timedelta(minutes=5)
RETRIES: Final = tuple(timedelta(hours=hours) for hours in (1, 4, 12, 24))


@dataclass(frozen=True, slots=True)
class ShareNotices:
    """One turn."""

    shared: SharedNotices
    record: PublicRecord
    agent: str
    clock: Clock
    count: Callable[[str], None]  # what became of a copy

    async def __call__(self) -> None:
        for _ in await self.shared.give_up_lost(now=self.clock.now()):
            self.count("uncertain")
        for _ in range(LIMIT):
            now = self.clock.now()
            async with self.shared.transaction() as tx:
                notice = await tx.claim(now=now, until=now + CLAIMED_FOR)
            if notice is None:
                return
            status, due_at, name = "sent", None, ""
            try:
                if notice.urls:
                    name = await self.record.publish(copy_of(notice, agent=self.agent))
                else:
                    status = "withdrawn"
            except MailDeferred:
                is_last = notice.tries > len(RETRIES)
                status, due_at = ("refused", None) if is_last else ("deferred", now + RETRIES[notice.tries - 1])
            except MailRefused:
                status = "refused"
            except MailUncertain:
                status = "uncertain"
            await self.shared.settle(notice.id, status, now=self.clock.now(), due_at=due_at, lumen_id=name)
            self.count(status)


@dataclass(frozen=True, slots=True)
class ChooseSharing:
    """What an organization chose."""

    shared: SharedNotices
    clock: Clock

    async def show(self, asked: GetTakedownSettings) -> TakedownSettings:
        return TakedownSettings(lumen=await self.shared.wants(asked.org_id))

    async def update(self, asked: UpdateTakedownSettings) -> TakedownSettings:
        await self.shared.choose(asked.org_id, lumen=asked.lumen, by=asked.by, now=self.clock.now())
        return TakedownSettings(lumen=asked.lumen)
