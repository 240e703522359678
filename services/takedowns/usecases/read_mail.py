"""Mails that came back, each with its one effect. What they claim is a hint: a removal is only believed when it is seen, and what has
legal effect waits for a person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.takedowns import NoticeBounced, NoticeCountered
from libs.common.ids import uuid7
from services.takedowns.domain.inbound import Judged, Kind, judge, recipients
from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice_ports import Mailbox, ReceivedMail
from services.takedowns.domain.progress_ports import HeldNotice, NewAction, Progress, ProgressTx
from services.takedowns.domain.states import Event, State
from services.takedowns.usecases.send_notice import facts_of

LIMIT: Final = 50  # mails per turn
_ACTIONS: Final = {
    Kind.NEED_INFO: "need_info",
    Kind.USE_FORM: "form",
    Kind.COUNTER_NOTICE: "counter_notice",
    Kind.REFUSED: "review",
}
_DELIVERED: Final = frozenset({"sent", "acked"})


@dataclass(frozen=True, slots=True)
class ReadMail:
    """One turn over the mailbox; answers how many mails had their effect."""

    progress: Progress
    mailbox: Mailbox
    tokens: MailTokens
    clock: Clock
    count: Callable[[str], None]  # by kind
    count_bounce: Callable[[], None]

    async def __call__(self) -> int:
        mails, failures = await self.mailbox.fetch(LIMIT), []
        for mail in mails:
            try:
                await self._take(mail)
            except Exception as exc:
                failures.append(exc)  # it stays where it is, and must not keep the others waiting
            else:
                # After its effect is committed: a mail read twice has it once.
                await self.mailbox.done(mail)
        if failures:
            raise failures[0]
        return len(mails)

    async def _take(self, mail: ReceivedMail) -> None:
        message = message_from_bytes(mail.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        now = self.clock.now()
        token = next((found for address in recipients(message) if (found := self.tokens.read(address))), None)
        judged = judge(message)
        async with self.progress.transaction() as tx:
            notice = await tx.hold_notice(token[1]) if token is not None else None
            # Without a token of ours nothing has an effect. At which of the two addresses a mail arrives proves nothing: automatic
            # answers go to that of bounces.
            kind = judged.kind if notice is not None or judged.kind is Kind.BOUNCE else Kind.OTHER
            if not await tx.add_inbound(mail.raw, kind=kind, notice_id=notice.id if notice else None, now=now):
                return
            if notice is not None:
                await self._have_effect(tx, notice, kind, judged, now)
        self.count(kind)

    async def _have_effect(self, tx: ProgressTx, notice: HeldNotice, kind: Kind, judged: Judged, now: datetime) -> None:
        if kind is Kind.BOUNCE:
            await self._bounced(tx, notice, judged, now)
        elif kind is Kind.ACK:
            await self._acknowledged(tx, notice, judged, now)
        elif kind is Kind.REMOVED:
            # They say so; our own eyes decide.
            await tx.rearm(notice.all_urls, now, states=[State.NOTICED, State.ACKNOWLEDGED, State.ACTION_REQUIRED])
        elif kind is Kind.COUNTER_NOTICE:
            reason = "counter-notice"
            moved = await tx.move(Event.COUNTER_NOTICED, notice.all_urls, now=now, next_at=None, reason=reason)
            await self._ask_a_person(tx, notice, kind, len(moved), now, text=_COUNTERED)
            await tx.tell(notice.org_id, NoticeCountered(**facts_of(notice, len(moved))))
        elif kind is Kind.USE_FORM:
            assert judged.form_url is not None
            await tx.learn_form(notice.host, judged.form_url, now=now)
            moved = await tx.move(
                Event.FORM_DEMANDED, notice.all_urls, now=now, next_at=now, reason="the host takes its form only"
            )
            await self._ask_a_person(tx, notice, kind, len(moved), now, form_url=judged.form_url)
        elif kind is Kind.REFUSED:
            moved = await tx.move(Event.REFUSED, notice.all_urls, now=now, next_at=None, reason="refused by the host")
            await tx.update_notice(notice.id, status="rejected")
            await self._ask_a_person(tx, notice, kind, len(moved), now, text="The host refuses: see the answer.")
        elif kind is Kind.NEED_INFO:
            await self._ask_a_person(
                tx, notice, kind, len(notice.all_urls), now, text="The host asks for more: see the answer."
            )

    async def _bounced(self, tx: ProgressTx, notice: HeldNotice, judged: Judged, now: datetime) -> None:
        bounce = judged.bounce
        if bounce is None or not bounce.is_final or notice.status not in _DELIVERED or notice.to_addr is None:
            return  # it only takes longer, or is told a second time
        self.count_bounce()
        await tx.update_notice(notice.id, status="bounced", reason=f"bounced {bounce.status}")
        await tx.release_mailbox(notice.to_addr, now=now, hard_bounce=bounce.is_hard)
        moved = await tx.move(
            Event.BOUNCED, notice.all_urls, now=now, next_at=now, reason=f"bounced {bounce.status}",
            except_notice=notice.id,
        )  # fmt: skip
        await tx.tell(notice.org_id, NoticeBounced(**facts_of(notice, len(moved)), reason=bounce.status))

    async def _acknowledged(self, tx: ProgressTx, notice: HeldNotice, judged: Judged, now: datetime) -> None:
        if notice.status == "sent":
            await tx.update_notice(notice.id, status="acked", ticket=judged.ticket)
            await tx.count_host(notice.host.id, acked=1)
        await tx.acknowledge(notice.all_urls, now=now)

    async def _ask_a_person(
        self,
        tx: ProgressTx,
        notice: HeldNotice,
        kind: Kind,
        url_count: int,
        now: datetime,
        *,
        text: str = "",
        form_url: str | None = None,
    ) -> None:
        action = NewAction(
            id=uuid7(), org_id=notice.org_id, creator_id=notice.creator_id, notice_id=notice.id,
            host_id=notice.host.id, reason=_ACTIONS[kind], form_url=form_url, text=text,
        )  # fmt: skip
        await tx.add_action(action, now=now, creator=notice.creator, host=notice.host.facts.host, url_count=url_count)


_COUNTERED: Final = (
    "A counter-notice came in. The host restores the material after 10 to 14 business days unless an action is brought"
    " (17 U.S.C. 512(g)). Nothing more is sent until you decide."
)
