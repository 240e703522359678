"""What the use cases about URLs under way need from the truth: due URLs, hosts, notices, and moves with all that follows from them.

Times are always passed in: every timer is a row, and every clock is the caller's.
"""

import uuid
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.contracts.envelope import Message
from services.takedowns.domain.fingerprint import Fingerprint
from services.takedowns.domain.follow_up import Watched
from services.takedowns.domain.host import Address, Entry, HostFacts, Source
from services.takedowns.domain.inbound import Kind
from services.takedowns.domain.notice import Work
from services.takedowns.domain.states import Category, Event, Stage, State
from services.takedowns.domain.verdict import Look, Verdict


class UrlRef(msgspec.Struct, frozen=True):
    """A URL's row."""

    creator_id: int
    id: uuid.UUID


class DueUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A URL whose time has come. `stage` may be past the last one: then nobody is left."""

    ref: UrlRef
    creator: uuid.UUID  # as callers know it
    org_id: uuid.UUID
    url: str
    host_id: int
    state: State
    stage: int
    category: Category
    was_delivered: bool  # a notice about it arrived once
    is_sandbox: bool
    is_deleted: bool  # its creator is


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A host with what is known of it."""

    id: int
    facts: HostFacts
    compliance: str
    has_contact: bool  # of the site, its host or its registrar
    has_entry: bool  # in the directory
    addresses: tuple[str, ...] = ()
    resolve_tries: int = 0
    first_tried_at: datetime | None = None
    resolve_after: datetime | None = None


class HostFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a resolution found. `again_at`: when to look again."""

    facts: HostFacts
    entry: Entry | None
    addresses: tuple[Address, ...]
    registrar_iana: int | None
    compliance: str | None
    is_confirmed: bool  # registries were asked and answered; else what they said before stays as old as it was
    again_at: datetime | None


class NewNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is planned, or rendered for a person."""

    id: uuid.UUID
    org_id: uuid.UUID
    creator_id: int
    host_id: int
    stage: Stage
    category: Category
    channel: str  # email | form | api
    to_addr: str | None
    language: str
    msg_id: str
    status: str  # planned | rendered
    reason: str = ""
    subject: str | None = None
    raw: bytes | None = None
    due_at: datetime | None = None
    urls: tuple[UrlRef, ...] = ()


class NewAction(msgspec.Struct, frozen=True, kw_only=True):
    """Something for a person to do."""

    id: uuid.UUID
    org_id: uuid.UUID
    creator_id: int
    notice_id: uuid.UUID
    host_id: int
    reason: str
    form_url: str | None = None
    text: str = ""


class HeldNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that nobody else changes meanwhile, with what it is made from. `urls`: those that still wait for it."""

    id: uuid.UUID
    org_id: uuid.UUID
    creator_id: int
    creator: uuid.UUID
    is_creator_deleted: bool
    is_sandbox: bool
    work: Work
    host: HostRow
    stage: Stage
    category: Category
    channel: str
    to_addr: str | None
    language: str
    msg_id: str
    status: str
    tries: int
    planned_at: datetime
    sent_at: datetime | None
    thread_root: str | None
    urls: tuple[tuple[UrlRef, str], ...]
    all_urls: tuple[UrlRef, ...]  # wherever they stand


class MailboxState(msgspec.Struct, frozen=True, kw_only=True):
    """How fast an address may be written to, and whether at all."""

    source: Source
    verified_at: datetime | None
    is_bad: bool
    is_busy: bool  # a mail to it is under way
    sent_in_hour: int
    hour_ends_at: datetime


class DueLook(msgspec.Struct, frozen=True, kw_only=True):
    """A URL to look at, with what it is judged by."""

    ref: UrlRef
    url: str
    host_id: int
    host: str
    watched: Watched
    first: Fingerprint | None
    removed_markers: tuple[str, ...]
    live_markers: tuple[str, ...]


class ProgressTx(Protocol):
    """An open transaction."""

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        """False = this message had its effect before."""
        ...

    async def move(
        self,
        event: Event,
        refs: Collection[UrlRef],
        *,
        now: datetime,
        next_at: datetime | None,
        reason: str = "",
        stage: int | None = None,
        sets_first_notice: bool = False,
        except_notice: uuid.UUID | None = None,
    ) -> list[UrlRef]:
        """Have `event` happen to those of `refs` it can happen to now; answers which. Writes the timeline and tells of it.

        `except_notice`: the notice that came to nothing; where it was the only one, none was ever delivered.
        """
        ...

    async def acknowledge(self, refs: Collection[UrlRef], *, now: datetime) -> None:
        """The host knows of these: their clock keeps running."""
        ...

    async def rearm(self, refs: Collection[UrlRef], at: datetime | None, *, states: Collection[State]) -> None:
        """Only the time of the next step changes."""
        ...

    async def move_stage(self, refs: Collection[UrlRef], stage: Stage, *, until: datetime) -> None:
        """URLs that are ready wait for a notice of this stage; at `until` they are planned for anew."""
        ...

    async def awaited(self, refs: Collection[UrlRef]) -> set[UrlRef]:
        """Those that a notice is about which has not left yet, and may."""
        ...

    async def queued(self, batch_id: uuid.UUID, *, limit: int) -> list[tuple[UrlRef, int]]:
        """URLs of a batch that nothing was done for yet, each with its host."""
        ...

    async def hosts(self, ids: Collection[int]) -> dict[int, HostRow]:
        """Hosts by id."""
        ...

    async def work(self, creator_id: int) -> Work:
        """What a creator registered about itself."""
        ...

    async def earlier(self, refs: Collection[UrlRef], *, limit: int) -> list[tuple[uuid.UUID, datetime]]:
        """Notices about any of these URLs that were sent, newest first."""
        ...

    async def thread_root(self, creator_id: int, host_id: int, stage: Stage, to_addr: str) -> str | None:
        """The first mail of the conversation with this contact about this creator."""
        ...

    async def last_planned(self, creator_id: int, host_id: int) -> datetime | None:
        """When the newest mail of a creator to a host left, or will."""
        ...

    async def bad_mailboxes(self) -> frozenset[str]:
        """Addresses that bounced for good."""
        ...

    async def know_mailbox(self, address: str, source: Source, verified_at: datetime | None) -> None:
        """What vouches for an address; the newest word counts."""
        ...

    async def add_notice(self, notice: NewNotice, *, now: datetime) -> None: ...

    async def add_action(
        self, action: NewAction, *, now: datetime, creator: uuid.UUID, host: str, url_count: int
    ) -> None:
        """Write the action, and tell of it."""
        ...

    async def close_actions(self, notice_id: uuid.UUID, *, by: str, now: datetime) -> None: ...

    async def hold_notice(self, notice_id: uuid.UUID) -> HeldNotice | None:
        """Lock a notice until the transaction ends."""
        ...

    async def update_notice(
        self,
        notice_id: uuid.UUID,
        *,
        status: str,
        reason: str = "",
        due_at: datetime | None = None,
        claimed_until: datetime | None = None,
        raw: bytes | None = None,
        subject: str | None = None,
        sent_at: datetime | None = None,
        followup_at: datetime | None = None,
        ticket: str | None = None,
        code: int | None = None,
        is_try: bool = False,
    ) -> None:
        """None leaves `raw`, `subject`, `sent_at`, `ticket`, `code` as they are; times are set as given."""
        ...

    async def drop_urls(self, notice_id: uuid.UUID, keep: Collection[UrlRef]) -> None:
        """The notice is about `keep` only: the others were cancelled before it left."""
        ...

    async def mailbox(self, address: str, *, now: datetime) -> MailboxState:
        """The state of an address, locked until the transaction ends."""
        ...

    async def claim_mailbox(self, address: str, until: datetime) -> None: ...

    async def release_mailbox(
        self, address: str, *, now: datetime, was_sent: bool = False, hard_bounce: bool = False
    ) -> bool:
        """A mail to it came to its end. True = the address is bad from now on."""
        ...

    async def take_daily(self, domain: str, *, now: datetime, most: int) -> bool:
        """Count a mail of today, if today's limit leaves room; a young domain has a smaller one."""
        ...

    async def count_host(self, host_id: int, *, sent: int = 0, acked: int = 0, removed: int = 0) -> None: ...

    async def add_inbound(self, raw: bytes, *, kind: Kind, notice_id: uuid.UUID | None, now: datetime) -> bool:
        """Keep a mail that came in. False = it had its effect before."""
        ...

    async def learn_form(self, host: HostRow, form_url: str, *, now: datetime) -> None:
        """A reply said that the host takes this form only. A learned value is a hint, never a fact."""
        ...

    async def add_check(self, ref: UrlRef, look: Look, verdict: Verdict) -> None: ...

    async def need_host(self, host_id: int, *, now: datetime) -> None:
        """The host is to be resolved: now, unless there is a time for it; with this change somebody is told."""
        ...

    async def settle_host(self, host_id: int, found: HostFound, *, now: datetime) -> None: ...

    async def postpone_host(self, host_id: int, *, until: datetime) -> None:
        """A try that came to nothing: what was known stays."""
        ...

    async def share_if_wanted(self, notice_id: uuid.UUID, *, now: datetime) -> None:
        """A notice left: a copy for the public is due, if its organization chose that and it is about copyright."""
        ...

    async def tell(self, org_id: uuid.UUID, message: Message) -> None:
        """Publish `message` if this transaction stands."""
        ...


class Progress(Protocol):
    """URLs under way."""

    def transaction(self) -> AbstractAsyncContextManager[ProgressTx]: ...

    async def claim_urls(
        self, states: Collection[State], *, now: datetime, until: datetime, limit: int
    ) -> Sequence[DueUrl]:
        """URLs that are due, for nobody else until `until`."""
        ...

    async def claim_looks(
        self, states: Collection[State], *, now: datetime, until: datetime, limit: int
    ) -> Sequence[DueLook]:
        """URLs to look at, likewise."""
        ...

    async def claim_notices(self, *, now: datetime, until: datetime, limit: int) -> Sequence[uuid.UUID]:
        """Notices that are due; each gets a job."""
        ...

    async def lost_sendings(self, *, now: datetime, limit: int) -> Sequence[uuid.UUID]:
        """Notices whose sender vanished when their text may have been on its way."""
        ...

    async def hosts_to_resolve(self, *, now: datetime, limit: int) -> Sequence[int]:
        """Hosts whose time to be looked at has come."""
        ...

    async def claim_host(self, host_id: int, *, now: datetime, until: datetime) -> HostRow | None:
        """A host to resolve; None when somebody else does, or nothing is to be done before its time."""
        ...

    async def count_failures(self, refs: Collection[UrlRef], *, now: datetime) -> dict[UrlRef, int]:
        """Note that the processing of each ended in a defect; answers how often in a row by now."""
        ...

    async def directory(self) -> Sequence[Entry]:
        """All entries."""
        ...
