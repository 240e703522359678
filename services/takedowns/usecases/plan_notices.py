"""What URLs wait for that no notice has left for yet: their host, each other, and then a notice, or a person's hands.

One notice per creator, host, stage and kind of complaint; at most 100 URLs; a mail per creator and host every 15 minutes.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from libs.common.clock import Clock
from libs.common.errors import FangateError, Transient
from libs.common.ids import uuid7
from services.takedowns.domain.abuse_report import SCHEME
from services.takedowns.domain.follow_up import (
    GATHER,
    PAIR_EVERY,
    RESOLVE_AGAIN,
    Step,
    after_its_host,
    gives_up_resolving,
    plan,
)
from services.takedowns.domain.host import RDAP_FRESH, Entry
from services.takedowns.domain.notice import Draft, IncompleteNoticeError, Notice, Work, number_of, render
from services.takedowns.domain.notice_mail import Envelope, compose, message_id
from services.takedowns.domain.notice_ports import DryFolder
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import (
    DueUrl,
    HostRow,
    NewAction,
    NewNotice,
    Progress,
    ProgressTx,
    UrlRef,
)
from services.takedowns.domain.sending import Sending
from services.takedowns.domain.states import Event, Stage, State
from services.takedowns.domain.verdict import AFTER_NOTICE
from services.takedowns.usecases.give_back import WORLDS, GiveBack
from services.takedowns.usecases.start_urls import is_known, start

LIMIT: Final = 500  # URLs per turn
CLAIMED_FOR: Final = timedelta(minutes=5)
WAITING: Final = timedelta(hours=1)  # a planned notice looks after its URLs; this is the net under it
EARLIER_MAX: Final = 5
RESOLVE_PATIENCE: Final = timedelta(days=3)  # with registries that do not answer; then a person writes
STATES: Final = (State.QUEUED, State.RESOLVING, State.READY)

Group = tuple[int, int, int, int, bool]  # creator, host, stage, category, sandbox


@dataclass(frozen=True, slots=True)
class PlanNotices:
    """One turn over what is due. Answers how many URLs it had in hand."""

    progress: Progress
    give_back: GiveBack
    sending: Sending
    folder: DryFolder | None
    desks: Container[str]  # abuse desks whose interfaces can be used
    clock: Clock
    count_blocked: Callable[[], None]  # an unverified contact was not mailed
    count_notice: Callable[[str, str, str], None]  # stage, channel, outcome
    failed: Callable[[Exception], None]  # the folder cannot be written to

    async def __call__(self) -> int:
        now = self.clock.now()
        due = await self.progress.claim_urls(STATES, now=now, until=now + CLAIMED_FOR, limit=LIMIT)
        living = [url for url in due if not url.is_deleted]  # the rest is about to be refunded with its creator
        entries = await self.progress.directory() if living else ()
        await self._by_host([url for url in living if url.state is State.QUEUED], self._start, now)
        await self._by_host([url for url in living if url.state is State.RESOLVING], self._resolving, now)
        groups: defaultdict[Group, list[DueUrl]] = defaultdict(list)
        for url in living:
            if url.state is State.READY:
                groups[url.ref.creator_id, url.host_id, url.stage, url.category, url.is_sandbox].append(url)
        for urls in groups.values():
            try:
                await self._plan(urls, entries, now)
            except (FangateError, Transient):
                raise  # the world's fault: all of it is claimed again
            except OSError as exc:
                self.failed(exc)  # the folder's: these are claimed again
            except Exception as exc:  # a defect that these URLs meet: the others must not wait for it to be mended
                await self.give_back.after_defect(exc, _owners(urls), now=now)
        return len(due)

    async def _by_host(
        self, urls: Sequence[DueUrl], work: Callable[[Sequence[DueUrl], datetime], Awaitable[None]], now: datetime
    ) -> None:
        """`work` for all at once; where a defect stops it, host by host, so that it stops those only that it meets."""
        if not urls:
            return
        try:
            await work(urls, now)
        except WORLDS:
            raise
        except Exception as exc:
            if len({url.host_id for url in urls}) == 1:
                await self.give_back.after_defect(exc, _owners(urls), now=now)
                return
            by_host: defaultdict[int, list[DueUrl]] = defaultdict(list)
            for url in urls:
                by_host[url.host_id].append(url)
            for of_host in by_host.values():
                await self._by_host(of_host, work, now)

    async def _start(self, urls: Sequence[DueUrl], now: datetime) -> None:
        async with self.progress.transaction() as tx:
            await start(tx, [(url.ref, url.host_id) for url in urls], now=now)

    async def _resolving(self, urls: Sequence[DueUrl], now: datetime) -> None:
        """Those whose host is known by now go on; those whose host will never be give their credit back."""
        hopeless: list[DueUrl] = []
        async with self.progress.transaction() as tx:
            hosts = await tx.hosts({url.host_id for url in urls})
            known = [url.ref for url in urls if is_known(hosts[url.host_id], now)]
            await tx.move(Event.CONTACT_FOUND, known, now=now, next_at=now + GATHER, reason="contact found")
            waiting: defaultdict[datetime, list[UrlRef]] = defaultdict(list)
            for url in urls:
                host = hosts[url.host_id]
                if is_known(host, now):
                    continue
                if gives_up_resolving(tries=host.resolve_tries, first_tried_at=host.first_tried_at, now=now):
                    hopeless.append(url)
                else:
                    waiting[_looked_after_at(host, now)].append(url.ref)
            for at, refs in waiting.items():
                await tx.rearm(refs, at, states=[State.RESOLVING])
            lost = {url.host_id for url in urls if hosts[url.host_id].first_tried_at is None}
            for host_id in sorted(lost):
                await tx.need_host(host_id, now=now)
        await self.give_back(_owners(hopeless), states=[State.RESOLVING], reason="nobody found to tell")

    async def _plan(self, due: Sequence[DueUrl], entries: Sequence[Entry], now: datetime) -> None:
        one = due[0]
        undeliverable: list[DueUrl] = []
        async with self.progress.transaction() as tx:
            # A notice that is late is not planned twice.
            awaited = await tx.awaited([url.ref for url in due])
            await tx.rearm(awaited, now + WAITING, states=[State.READY])
            urls = [url for url in due if url.ref not in awaited]
            if not urls:
                return
            host = (await tx.hosts([one.host_id]))[one.host_id]
            if _is_out_of_date(host, now):
                # What registries said is too old to be mailed to: they are asked first.
                await tx.need_host(host.id, now=now)
                await tx.rearm([url.ref for url in urls], now + RESOLVE_AGAIN, states=[State.READY])
                return
            step = (
                plan(
                    Stage(one.stage),
                    host.facts,
                    entries,
                    compliance=host.compliance,
                    category=one.category,
                    is_dry=self.sending.is_dry or one.is_sandbox,
                    bad=await tx.bad_mailboxes(),
                    now=now,
                    desks=self.desks,
                )
                if one.stage <= Stage.SEARCH
                else None
            )
            if step is None:
                delivered = [url.ref for url in urls if url.was_delivered]
                await tx.move(
                    Event.LAST_DEADLINE_PASSED, delivered, now=now, next_at=now + AFTER_NOTICE[-1], reason="nobody left"
                )
                undeliverable = [url for url in urls if not url.was_delivered]
            else:
                work = await tx.work(one.ref.creator_id)
                most = step.contact.urls_max
                for together in _by_name(urls) if step.contact.same_hostname_only else [urls]:
                    for at in range(0, len(together), most):
                        await self._notice(tx, together[at : at + most], host, step, work, now)
        await self.give_back(_owners(undeliverable), states=[State.READY], reason="no notice could be delivered")

    async def _notice(
        self, tx: ProgressTx, urls: Sequence[DueUrl], host: HostRow, step: Step, work: Work, now: datetime
    ) -> None:
        """Plan one notice: for the relay, or for a person."""
        one, contact = urls[0], step.contact
        notice_id = uuid7()
        refs = tuple(url.ref for url in urls)
        draft = Draft(
            notice_id=notice_id,
            agent=self.sending.agent,
            work=work,
            host=host.facts.host,
            urls=tuple(url.url for url in urls),
            stage=step.stage,
            category=one.category,
            language=contact.language,
            earlier=tuple(await tx.earlier(refs, limit=EARLIER_MAX)),
            requires=contact.requires,
        )
        reason, notice, text = _rendered(draft, step)
        new = NewNotice(
            id=notice_id,
            org_id=one.org_id,
            creator_id=one.ref.creator_id,
            host_id=host.id,
            stage=step.stage,
            category=one.category,
            channel="api" if step.desk else "email" if step.form_url is None and contact.email else "form",
            to_addr=f"{SCHEME}{step.desk}" if step.desk else contact.email,
            language=contact.language,
            msg_id=message_id(notice_id, 1, self.sending.domains.reply),
            status="rendered" if reason else "planned",
            reason=reason,
            subject=notice.subject if notice else None,
            urls=refs,
        )
        if new.channel != "form" and new.to_addr is not None:
            await tx.know_mailbox(new.to_addr, contact.source, contact.verified_at)
        if not reason:
            last = await tx.last_planned(one.ref.creator_id, host.id)
            due_at = max(now, last + PAIR_EVERY) if last is not None else now
            await tx.add_notice(_with(new, due_at=due_at), now=now)
            # They stay ready until it left; looked after again should the notice be lost.
            await tx.move_stage(refs, step.stage, until=due_at + WAITING)
            return
        if notice is not None and new.channel == "email" and contact.email is not None:
            envelope = self._mail(notice, new, contact.email, now)
            new = _with(new, raw=envelope.raw)
            if reason == "dry_run" and self.folder is not None:
                await self.folder.keep(number_of(notice_id), envelope)
        else:
            new = _with(new, raw=text.encode())
        await tx.add_notice(new, now=now)
        moved = await tx.move(
            Event.ACTION_NEEDED, refs, now=now, next_at=now + AFTER_NOTICE[0], reason=reason, stage=step.stage
        )
        if not moved:
            return
        action = NewAction(
            id=uuid7(), org_id=one.org_id, creator_id=one.ref.creator_id, notice_id=notice_id, host_id=host.id,
            reason=reason, form_url=step.form_url, text=text,
        )  # fmt: skip
        await tx.add_action(action, now=now, creator=one.creator, host=host.facts.host, url_count=len(moved))
        if reason == "unverified":
            self.count_blocked()
        self.count_notice(step.stage.name.lower(), new.channel, reason)

    def _mail(self, notice: Notice, new: NewNotice, to: str, now: datetime) -> Envelope:
        sending = self.sending
        return compose(
            notice, notice_id=new.id, msg_id=new.msg_id, to=to, agent=sending.agent, tokens=sending.tokens,
            domains=sending.domains, at=now,
        )  # fmt: skip


def _owners(urls: Sequence[DueUrl]) -> dict[UrlRef, UrlOwner]:
    return {url.ref: UrlOwner(url.org_id, url.ref.creator_id, url.creator) for url in urls}


def _by_name(urls: Sequence[DueUrl]) -> list[list[DueUrl]]:
    """By the host as it stands in the URL: with and without `www.` are one host to us, and two to some desks."""
    by_name: defaultdict[str | None, list[DueUrl]] = defaultdict(list)
    for url in urls:
        by_name[urlsplit(url.url).hostname].append(url)
    return list(by_name.values())


def _looked_after_at(host: HostRow, now: datetime) -> datetime:
    return after_its_host(resolve_after=host.resolve_after, first_tried_at=host.first_tried_at, now=now)


def _is_out_of_date(host: HostRow, now: datetime) -> bool:
    """Whether the registries' word is over a week old, and there is hope for a new one: they are about to be asked, or fail lately only."""
    resolved_at = host.facts.resolved_at
    if resolved_at is None or now - resolved_at <= RDAP_FRESH:
        return False
    was_asked_in_vain = host.resolve_after is not None and host.resolve_after > now
    return not was_asked_in_vain or now - resolved_at <= RDAP_FRESH + RESOLVE_PATIENCE


def _rendered(draft: Draft, step: Step) -> tuple[str, Notice | None, str]:
    """Why a person has to act (empty: nobody has to), the notice, and the text for a form."""
    try:
        notice = render(draft)
    except IncompleteNoticeError as incomplete:
        return "need_info", None, f"This notice cannot be written yet: {'; '.join(incomplete.missing)}."
    return step.reason, notice, f"{notice.subject}\n\n{notice.body}"


def _with(notice: NewNotice, *, due_at: datetime | None = None, raw: bytes | None = None) -> NewNotice:
    return msgspec.structs.replace(notice, due_at=due_at, raw=raw)
