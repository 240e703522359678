"""Tell organizations by mail what happened to a creator's notices: one mail for all of five minutes, one in an hour. Under the rules
of notices: mode `dry_run` opens no socket, what is a sandbox's is never mailed, and what may have left is never sent again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.ids import uuid7
from services.takedowns.domain.creator_mail import write
from services.takedowns.domain.creator_mail_ports import CreatorMails
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_ports import DryFolder, Relay
from services.takedowns.domain.sending import Sending

GATHER: Final = timedelta(minutes=5)
QUIET: Final = timedelta(hours=1)
LIMIT: Final = 50  # creators, and mails, a turn
CLAIMED_FOR: Final = timedelta(minutes=10)
RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 240, 720))


@dataclass(frozen=True, slots=True)
class TellCreators:
    """One turn: write what is untold, send what is due."""

    mails: CreatorMails
    relay: Relay | None
    folder: DryFolder | None
    sending: Sending
    clock: Clock
    count: Callable[[str], None]  # what became of a mail

    async def __call__(self) -> None:
        await self._write()
        if self.relay is not None and not self.sending.is_dry:
            await self.mails.give_up_lost(now=self.clock.now())
            await self._send(self.relay)

    async def _write(self) -> None:
        now = self.clock.now()
        for addressee in await self.mails.untold(before=now - GATHER, quiet_since=now - QUIET, limit=LIMIT):
            is_dry = self.relay is None or self.sending.is_dry
            mail_id = uuid7()
            async with self.mails.transaction() as tx:
                taken = await tx.take(addressee.creator_id, now=now)
                happenings = [each for each in taken if not each.is_sandbox]
                if not happenings:
                    continue  # a sandbox's, or another process was quicker
                envelope = write(addressee, happenings, mail_id=mail_id, agent=self.sending.agent, at=now)
                await tx.add(mail_id, addressee, envelope, status="rendered" if is_dry else "planned", now=now)
            if is_dry:
                self.count("rendered")
                if self.folder is not None:
                    await self.folder.keep(f"creator-{mail_id}", envelope)

    async def _send(self, relay: Relay) -> None:
        for _ in range(LIMIT):
            now = self.clock.now()
            claimed = await self.mails.claim(now=now, until=now + CLAIMED_FOR)
            if claimed is None:
                return
            mail_id, tries, envelope = claimed
            try:
                await relay.send(envelope)
            except MailDeferred as exc:
                is_last = tries > len(RETRIES)
                status, due_at = ("refused", None) if is_last else ("deferred", now + RETRIES[tries - 1])
                await self.mails.settle(mail_id, status, now=now, due_at=due_at, code=exc.code)
            except MailRefused as exc:
                status = "refused"
                await self.mails.settle(mail_id, status, now=now, code=exc.code)
            except MailUncertain:
                status = "uncertain"
                await self.mails.settle(mail_id, status, now=now)
            else:
                status = "sent"
                await self.mails.settle(mail_id, status, now=self.clock.now())
            self.count(status)
