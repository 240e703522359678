"""What notices and mails need from outside, in memory."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

import msgspec

from services.takedowns.domain.abuse_report import AbuseReport
from services.takedowns.domain.creator_mail import Addressee, Happening
from services.takedowns.domain.csam_ports import CsamReport
from services.takedowns.domain.notice_errors import MailboxAway
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.domain.notice_ports import ReceivedMail
from services.takedowns.domain.ports import UrlOwner


class MemoryMailbox:
    """The port `Mailbox`."""

    def __init__(self) -> None:
        self.mails: list[ReceivedMail] = []
        self.is_away = False

    def receive(self, raw: bytes) -> None:
        self.mails.append(ReceivedMail(uid=str(len(self.mails)), raw=raw))

    async def fetch(self, limit: int) -> Sequence[ReceivedMail]:
        if self.is_away:
            raise MailboxAway
        return self.mails[:limit]

    async def done(self, mail: ReceivedMail) -> None:
        if self.is_away:
            raise MailboxAway
        self.mails = [other for other in self.mails if other.uid != mail.uid]


class MemoryRelay:
    """The port `Relay`. `refusing`: raised for the next mails, one each."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.refusing: list[Exception] = []

    async def send(self, envelope: Envelope) -> str:
        if self.refusing:
            raise self.refusing.pop(0)
        self.mails.append(envelope)
        return "OK"


class MemoryFolder:
    """The port `DryFolder`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def keep(self, name: str, envelope: Envelope) -> None:
        self.kept[name] = envelope.raw


class StoredMail(msgspec.Struct, kw_only=True):
    """A row of `creator_mails`."""

    id: uuid.UUID
    creator_id: int
    envelope: Envelope
    status: str
    made_at: datetime
    due_at: datetime | None
    claimed_until: datetime | None = None
    tries: int = 0


class MemoryCreatorMails:
    """The port `CreatorMails`. `happenings`: what nobody was told yet, with when it was."""

    def __init__(self, *addressees: Addressee) -> None:
        self.addressees = {addressee.creator_id: addressee for addressee in addressees}
        self.happenings: list[tuple[int, datetime, Happening]] = []
        self.mails: list[StoredMail] = []

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryCreatorMails"]:
        before = list(self.happenings), list(self.mails)
        try:
            yield self
        except BaseException:
            self.happenings, self.mails = before
            raise

    async def take(self, creator_id: int, *, now: datetime) -> Sequence[Happening]:
        del now
        taken = [happening for owner, _, happening in self.happenings if owner == creator_id]
        self.happenings = [each for each in self.happenings if each[0] != creator_id]
        return taken

    async def add(
        self, mail_id: uuid.UUID, addressee: Addressee, envelope: Envelope, *, status: str, now: datetime
    ) -> None:
        due_at = now if status == "planned" else None
        self.mails.append(
            StoredMail(
                id=mail_id, creator_id=addressee.creator_id, envelope=envelope, status=status, made_at=now, due_at=due_at
            )
        )  # fmt: skip

    async def untold(self, *, before: datetime, quiet_since: datetime, limit: int) -> Sequence[Addressee]:
        mailed = {mail.creator_id for mail in self.mails if mail.made_at > quiet_since}
        untold = dict.fromkeys(
            owner for owner, at, _ in sorted(self.happenings, key=lambda each: each[0]) if at <= before
        )
        return [self.addressees[owner] for owner in untold if owner not in mailed][:limit]

    async def claim(self, *, now: datetime, until: datetime) -> tuple[uuid.UUID, int, Envelope] | None:
        due = [mail for mail in self.mails if mail.due_at is not None and mail.due_at <= now]
        if not due:
            return None
        mail = min(due, key=lambda mail: mail.due_at or now)
        mail.status, mail.due_at, mail.claimed_until, mail.tries = "sending", None, until, mail.tries + 1
        return mail.id, mail.tries, mail.envelope

    async def settle(
        self, mail_id: uuid.UUID, status: str, *, now: datetime, due_at: datetime | None = None, code: int | None = None
    ) -> None:
        del now, code
        (mail,) = [mail for mail in self.mails if mail.id == mail_id]
        mail.status, mail.due_at, mail.claimed_until = status, due_at, None

    async def give_up_lost(self, *, now: datetime) -> None:
        for mail in self.mails:
            if mail.claimed_until is not None and mail.claimed_until < now:
                mail.status, mail.claimed_until = "uncertain", None


class MemoryDesk:
    """The port `AbuseDesk`. `refusing`: raised for the next reports, one each."""

    def __init__(self) -> None:
        self.reports: list[AbuseReport] = []
        self.refusing: list[Exception] = []

    async def report(self, report: AbuseReport) -> str:
        if self.refusing:
            raise self.refusing.pop(0)
        self.reports.append(report)
        return f"rand-{len(self.reports)}"


class MemoryCsamReports:
    """The port `CsamReports`. `known`: takedowns by the keys of their URLs."""

    def __init__(self) -> None:
        self.reports: dict[uuid.UUID, CsamReport] = {}
        self.known: dict[bytes, tuple[UrlOwner, uuid.UUID]] = {}
        self.withheld: list[uuid.UUID] = []

    async def add(
        self, report_id: uuid.UUID, org_id: uuid.UUID, key_id: uuid.UUID | None, urls: Sequence[str], *, now: datetime
    ) -> None:
        del key_id
        new = CsamReport(id=report_id, org_id=org_id, url_count=len(urls), reported_at=now, urls=tuple(urls))
        self.reports.setdefault(report_id, new)

    async def under_way(self, org_id: uuid.UUID, keys: Collection[bytes]) -> dict[UrlOwner, list[uuid.UUID]]:
        found: dict[UrlOwner, list[uuid.UUID]] = {}
        for key in keys:
            owner, id_ = self.known.get(key, (None, None))
            if owner is not None and id_ is not None and owner.org_id == org_id and id_ not in self.withheld:
                found.setdefault(owner, []).append(id_)
        return found

    async def withhold(self, owner: UrlOwner, url_ids: Sequence[uuid.UUID]) -> None:
        del owner
        self.withheld += url_ids

    async def waiting(self, *, limit: int) -> Sequence[CsamReport]:
        waiting = [report for report in self.reports.values() if report.closed_at is None]
        waiting.sort(key=lambda report: report.reported_at)
        return [msgspec.structs.replace(report, urls=None) for report in waiting[:limit]]

    async def show(self, report_id: uuid.UUID) -> CsamReport | None:
        return self.reports.get(report_id)

    async def close(self, report_id: uuid.UUID, *, by: str, authority: str, reference: str, now: datetime) -> bool:
        del by
        report = self.reports.get(report_id)
        if report is None or report.closed_at is not None:
            return False
        self.reports[report_id] = msgspec.structs.replace(
            report, urls=None, closed_at=now, authority=authority, reference=reference
        )
        return True

    async def count_waiting(self) -> int:
        return sum(report.closed_at is None for report in self.reports.values())
