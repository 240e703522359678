"""Send one notice. That it is being sent is committed before its first byte leaves: a notice whose sender vanished is looked at by a
person and never sent again by itself. A legal notice twice is worse than one that is late.
"""

import contextlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.takedowns import NoticeBounced, NoticeSent
from libs.common.ids import uuid7
from services.takedowns.domain.abuse_report import AbuseReport, desk_of, report_of
from services.takedowns.domain.follow_up import DEFERRED_FOR, MAILBOX_PER_HOUR, RETRIES
from services.takedowns.domain.host import Contact, Entry, Method, best_entry, contact_at, is_verified
from services.takedowns.domain.notice import Draft, IncompleteNoticeError, render
from services.takedowns.domain.notice_errors import DeskRefused, MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_mail import Envelope, compose
from services.takedowns.domain.notice_ports import AbuseDesk, Relay
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import HeldNotice, NewAction, Progress, ProgressTx
from services.takedowns.domain.sending import Sending
from services.takedowns.domain.states import Event, Stage
from services.takedowns.domain.verdict import AFTER_NOTICE
from services.takedowns.domain.xarf import reports
from services.takedowns.usecases.give_back import WORLDS, GiveBack

CLAIMED_FOR: Final = timedelta(minutes=5)  # longer than a relay may take for a mail
BUSY_FOR: Final = timedelta(seconds=30)
EARLIER_MAX: Final = 5
WAITING: Final = frozenset({"planned", "deferred"})  # to be sent


@dataclass(frozen=True, slots=True)
class SendNotice:
    """One mail at most, however often it is asked for."""

    progress: Progress
    give_back: GiveBack
    relay: Relay | None  # None: nothing is ever mailed
    desks: Mapping[str, AbuseDesk]  # by id: abuse desks whose interfaces can be used
    sending: Sending
    clock: Clock
    count_notice: Callable[[str, str, str], None]  # stage, channel, outcome
    count_blocked: Callable[[], None]
    can_share: bool = False  # the operator has an account where copies are published

    async def __call__(self, notice_id: uuid.UUID) -> None:
        try:
            prepared = await self._begin(notice_id)
        except WORLDS:
            raise
        except Exception as exc:  # nothing has left: it is due again in five minutes, unless its URLs are given up
            await self._not_begun(notice_id, exc)
            return
        if prepared is None:
            return
        try:
            ticket = await self._carry(prepared)
        except MailDeferred as exc:
            await self._deferred(notice_id, exc)
        except MailRefused as exc:
            await self._refused(notice_id, exc)
        except DeskRefused as exc:
            await self.give_to_a_person(notice_id, str(exc), why="form")
        except MailUncertain as exc:
            await self.give_to_a_person(notice_id, f"nobody knows whether it arrived: {exc}")
        else:
            await self._sent(notice_id, ticket)

    async def _carry(self, prepared: Envelope | AbuseReport) -> str:
        """Once. The number that an abuse desk gave; of a mail nothing is known yet."""
        if isinstance(prepared, AbuseReport):
            return await self.desks[prepared.desk].report(prepared)
        assert self.relay is not None
        await self.relay.send(prepared)
        return ""

    async def recover(self, *, limit: int = 50) -> int:
        """Notices whose sender vanished go to a person; answers how many."""
        lost = await self.progress.lost_sendings(now=self.clock.now(), limit=limit)
        for notice_id in lost:
            try:
                await self.give_to_a_person(notice_id, "its sender vanished while it was under way")
            except WORLDS:
                raise
            except Exception as exc:  # it stays, and is counted; the others must not wait for it
                self.give_back.failed(exc)
        return len(lost)

    async def _not_begun(self, notice_id: uuid.UUID, error: Exception) -> None:
        """A defect met it before anything left. The credits of URLs that no notice ever left for return in the end."""
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await tx.hold_notice(notice_id)
            if notice is None or notice.status not in WAITING:
                self.give_back.failed(error)
                return
            await tx.update_notice(
                notice_id, status=notice.status, reason="processing failed", due_at=now + CLAIMED_FOR
            )
        owner = UrlOwner(notice.org_id, notice.creator_id, notice.creator)
        await self.give_back.after_defect(error, dict.fromkeys((ref for ref, _ in notice.urls), owner), now=now)

    async def _begin(self, notice_id: uuid.UUID) -> Envelope | AbuseReport | None:
        """Commit that it is being sent, with the very bytes; None: not now, or not at all."""
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await tx.hold_notice(notice_id)
            if notice is None or notice.status not in WAITING or notice.to_addr is None:
                return None
            if not notice.urls or notice.is_creator_deleted:
                await tx.update_notice(notice_id, status="closed", reason="nothing is left to tell")
                return None
            desk = desk_of(notice.to_addr)
            if self.sending.is_dry or notice.is_sandbox or (desk is None and self.relay is None):
                await self._hand_over(tx, notice, "dry_run", now)
                return None
            if desk is not None and desk not in self.desks:
                await self._hand_over(tx, notice, "form", now)  # its interface was switched off since
                return None
            wait_until = await self._not_before(tx, notice, now)
            if wait_until is not None:
                await tx.update_notice(notice_id, status=notice.status, due_at=wait_until)
                return None
            if not await self._may_be_mailed(tx, notice, now):
                return None
            try:
                prepared, subject = await self._written(tx, notice, now)
            except IncompleteNoticeError as incomplete:
                await self._hand_over(tx, notice, "need_info", now, text="; ".join(incomplete.missing))
                return None
            if desk is None and not await tx.take_daily(
                _domain(self.sending), now=now, most=self.sending.mails_per_day
            ):
                await tx.update_notice(notice_id, status=notice.status, due_at=now + timedelta(hours=1))
                return None
            if len(notice.urls) < len(notice.all_urls):
                await tx.drop_urls(notice_id, [ref for ref, _ in notice.urls])
            await tx.claim_mailbox(notice.to_addr, now + CLAIMED_FOR)
            raw = msgspec.json.encode(prepared) if isinstance(prepared, AbuseReport) else prepared.raw
            await tx.update_notice(
                notice_id, status="sending", claimed_until=now + CLAIMED_FOR, raw=raw, subject=subject, is_try=True
            )
            return prepared

    async def _not_before(self, tx: ProgressTx, notice: HeldNotice, now: datetime) -> datetime | None:
        """When its mailbox may be written to, if not now: one mail at a time, so many an hour."""
        assert notice.to_addr is not None
        mailbox = await tx.mailbox(notice.to_addr, now=now)
        if mailbox.is_busy:
            return now + BUSY_FOR
        return mailbox.hour_ends_at if mailbox.sent_in_hour >= MAILBOX_PER_HOUR else None

    async def _may_be_mailed(self, tx: ProgressTx, notice: HeldNotice, now: datetime) -> bool:
        """The last look before something leaves: is the address still good, and still vouched for?"""
        assert notice.to_addr is not None
        mailbox = await tx.mailbox(notice.to_addr, now=now)
        if mailbox.is_bad:
            await self._up(tx, notice, now, reason="the address bounced for good")
            return False
        contact = Contact(name="", method=Method.EMAIL, source=mailbox.source, verified_at=mailbox.verified_at)
        if is_verified(contact, notice.stage, now):
            return True
        self.count_blocked()
        await self._hand_over(tx, notice, "unverified", now)
        return False

    async def _written(self, tx: ProgressTx, notice: HeldNotice, now: datetime) -> tuple[Envelope | AbuseReport, str]:
        """The mail or report, written for the URLs that still wait for it. Raises IncompleteNoticeError."""
        assert notice.to_addr is not None
        entry = best_entry(await self.progress.directory(), notice.host.facts.host)
        draft = await self._draft(tx, notice, entry)
        written = render(draft)
        desk = desk_of(notice.to_addr)
        if desk is not None:
            report = report_of(
                draft, written, notice_id=notice.id, desk=desk, tokens=self.sending.tokens, domains=self.sending.domains
            )
            return report, written.subject
        is_desk = notice.stage in {Stage.HOSTING, Stage.REGISTRAR}
        source = notice.host.addresses[0] if notice.host.addresses else notice.host.facts.host
        kind = entry.kind if entry is not None else None
        envelope = compose(
            written,
            notice_id=notice.id,
            msg_id=notice.msg_id,
            to=notice.to_addr,
            agent=self.sending.agent,
            tokens=self.sending.tokens,
            domains=self.sending.domains,
            at=now,
            thread_root=notice.thread_root,
            xarf=reports(draft, site_kind=kind, source=source, at=now) if is_desk else (),
        )
        return envelope, written.subject

    async def _draft(self, tx: ProgressTx, notice: HeldNotice, entry: Entry | None) -> Draft:
        return Draft(
            notice_id=notice.id,
            agent=self.sending.agent,
            work=notice.work,
            host=notice.host.facts.host,
            urls=tuple(url for _, url in notice.urls),
            stage=notice.stage,
            category=notice.category,
            language=notice.language,
            earlier=tuple(await tx.earlier([ref for ref, _ in notice.urls], limit=EARLIER_MAX)),
            requires=entry.requires if entry is not None and notice.stage is Stage.SITE else (),
        )

    async def _sent(self, notice_id: uuid.UUID, ticket: str) -> None:
        """It left. A desk that gives it a number has acknowledged it."""
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await _sending(tx, notice_id)
            if notice is None:
                return
            assert notice.to_addr is not None
            await tx.update_notice(notice_id, status="acked" if ticket else "sent", sent_at=now, ticket=ticket or None)
            await tx.release_mailbox(notice.to_addr, now=now, was_sent=True)
            await tx.count_host(notice.host.id, sent=1, acked=1 if ticket else 0)
            refs = [ref for ref, _ in notice.urls]
            moved = await tx.move(
                Event.NOTICE_SENT, refs, now=now, next_at=now + AFTER_NOTICE[0], reason=notice.stage.name.lower(),
                sets_first_notice=True,
            )  # fmt: skip
            if ticket:
                await tx.acknowledge(moved, now=now)
            if self.can_share:
                await tx.share_if_wanted(notice_id, now=now)
            await tx.tell(notice.org_id, NoticeSent(**facts_of(notice, len(moved)), channel=notice.channel))
        self.count_notice(notice.stage.name.lower(), notice.channel, "sent")

    async def _deferred(self, notice_id: uuid.UUID, refusal: MailDeferred) -> None:
        """Later and later; after two days the next stage is asked."""
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await _sending(tx, notice_id)
            if notice is None:
                return
            assert notice.to_addr is not None
            await tx.release_mailbox(notice.to_addr, now=now)
            gives_up_at = notice.planned_at + DEFERRED_FOR
            due_at = min(now + RETRIES[min(notice.tries, len(RETRIES)) - 1], gives_up_at)
            if now >= gives_up_at:
                await self._up(tx, notice, now, reason="deferred for two days", code=refusal.code)
            else:
                await tx.update_notice(
                    notice_id, status="deferred", reason=str(refusal), due_at=due_at, code=refusal.code
                )
        self.count_notice(notice.stage.name.lower(), notice.channel, "deferred")

    async def _refused(self, notice_id: uuid.UUID, refusal: MailRefused) -> None:
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await _sending(tx, notice_id)
            if notice is None:
                return
            assert notice.to_addr is not None
            await tx.release_mailbox(notice.to_addr, now=now, hard_bounce=True)
            await self._up(tx, notice, now, reason=str(refusal), code=refusal.code)
        self.count_notice(notice.stage.name.lower(), notice.channel, "refused")

    async def _up(
        self, tx: ProgressTx, notice: HeldNotice, now: datetime, *, reason: str, code: int | None = None
    ) -> None:
        """It will not be delivered: the next stage is asked."""
        await tx.update_notice(notice.id, status="bounced", reason=reason, code=code)
        refs = [ref for ref, _ in notice.urls]
        moved = await tx.move(Event.BOUNCED, refs, now=now, next_at=now, reason=reason, except_notice=notice.id)
        await tx.tell(notice.org_id, NoticeBounced(**facts_of(notice, len(moved)), reason=reason))

    async def give_to_a_person(self, notice_id: uuid.UUID, reason: str, *, why: str = "review") -> None:
        """Nobody knows whether it arrived (`review`), or it did not and only a person can do it."""
        now = self.clock.now()
        async with self.progress.transaction() as tx:
            notice = await _sending(tx, notice_id)
            if notice is None:
                return
            assert notice.to_addr is not None
            await tx.release_mailbox(notice.to_addr, now=now)
            await self._hand_over(tx, notice, why, now, text=reason)
        self.count_notice(notice.stage.name.lower(), notice.channel, why)

    async def _hand_over(self, tx: ProgressTx, notice: HeldNotice, why: str, now: datetime, *, text: str = "") -> None:
        """From here on a person decides."""
        status = "review" if why == "review" else "rendered"
        entries = await self.progress.directory()
        contact = contact_at(notice.stage, notice.host.facts, entries) if why == "form" else None
        with contextlib.suppress(IncompleteNoticeError):
            entry = best_entry(entries, notice.host.facts.host)
            written = render(await self._draft(tx, notice, entry))
            text = f"{text}\n\n{written.subject}\n\n{written.body}".lstrip()
        await tx.update_notice(notice.id, status=status, reason=why)
        refs = [ref for ref, _ in notice.urls]
        moved = await tx.move(Event.ACTION_NEEDED, refs, now=now, next_at=now + AFTER_NOTICE[0], reason=why)
        action = NewAction(
            id=uuid7(), org_id=notice.org_id, creator_id=notice.creator_id, notice_id=notice.id,
            host_id=notice.host.id, reason=why, form_url=contact.form_url if contact is not None else None, text=text,
        )  # fmt: skip
        await tx.add_action(action, now=now, creator=notice.creator, host=notice.host.facts.host, url_count=len(moved))


async def _sending(tx: ProgressTx, notice_id: uuid.UUID) -> HeldNotice | None:
    """The notice, if it is still the one that is being sent."""
    notice = await tx.hold_notice(notice_id)
    return notice if notice is not None and notice.status == "sending" else None


def facts_of(notice: HeldNotice, url_count: int) -> dict[str, Any]:
    """What events about a notice tell."""
    return {
        "org_id": notice.org_id, "notice_id": notice.id, "creator_id": notice.creator, "host": notice.host.facts.host,
        "stage": notice.stage.name.lower(), "url_count": url_count,
    }  # fmt: skip


def _domain(sending: Sending) -> str:
    return sending.agent.email.rpartition("@")[2]
