"""Commands of `takedowns` about what became of URLs: the list, one with its timeline, notices, hosts, and what a person has to do.

Every command carries the organization; what is another's does not exist. Fail with NOT_FOUND, CONFLICT (not possible in the present
state), INVALID_REQUEST, UNAVAILABLE.
"""

import uuid
from datetime import datetime

import msgspec

from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import HostContact


class TakedownShown(msgspec.Struct, frozen=True, kw_only=True):
    """A URL as its organization sees it. `liveness`: what the last look said; it never makes a removal alone."""

    id: uuid.UUID
    creator_id: uuid.UUID
    batch_id: uuid.UUID
    url: str
    host: str
    state: str
    stage: str  # site | hosting | registrar | search
    category: str  # copyright | ncii
    attempt: int
    submitted_at: datetime
    first_notice_at: datetime | None
    removed_at: datetime | None
    next_action_at: datetime | None
    liveness: str | None = None
    checked_at: datetime | None = None


class ListTakedowns(Message, frozen=True, kw_only=True):
    """A page of URLs of a creator or a batch (one of them is needed), newest first; `after` is the last id of the page before."""

    org_id: uuid.UUID
    creator_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    state: str | None = None
    host: str | None = None
    limit: int = 50
    after: uuid.UUID | None = None


class TakedownPage(Message, frozen=True, kw_only=True):
    """`next_after` continues the list; None = this was its end."""

    takedowns: tuple[TakedownShown, ...]
    next_after: uuid.UUID | None = None


class _OfTakedown(Message, frozen=True, kw_only=True):
    org_id: uuid.UUID
    takedown_id: uuid.UUID


class GetTakedown(_OfTakedown, frozen=True, kw_only=True):
    """One URL with all that happened to it."""


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of state."""

    at: datetime
    state: str
    previous: str
    reason: str


class NoticeBrief(msgspec.Struct, frozen=True, kw_only=True):
    """A notice, without its text."""

    id: uuid.UUID
    number: str  # as it is named in subjects: TD-…
    stage: str
    channel: str
    to: str | None
    status: str
    planned_at: datetime
    sent_at: datetime | None
    ticket: str | None


class LookShown(msgspec.Struct, frozen=True, kw_only=True):
    """A look at the URL: proof of what was seen."""

    at: datetime
    verdict: str
    http: int | None
    final_url: str | None


class TakedownAnswer(Message, frozen=True, kw_only=True):
    """A URL with its history; the newest of each come first, at most 100 of them."""

    takedown: TakedownShown
    timeline: tuple[TimelineEntry, ...] = ()
    notices: tuple[NoticeBrief, ...] = ()
    looks: tuple[LookShown, ...] = ()


class GetTakedownSummary(Message, frozen=True, kw_only=True):
    """How many URLs are in which state, of a creator or of all."""

    org_id: uuid.UUID
    creator_id: uuid.UUID | None = None


class TakedownSummary(Message, frozen=True, kw_only=True):
    """`median_removal_hours`: from the first notice to the removal, over the last 90 days."""

    states: dict[str, int]
    total: int
    open_actions: int
    removed_30_days: int
    median_removal_hours: float | None = None


class RecheckTakedown(_OfTakedown, frozen=True, kw_only=True):
    """Look at it soon, unless that was done minutes ago."""


class CancelTakedown(_OfTakedown, frozen=True, kw_only=True):
    """End it before any notice left; its credit returns."""


class FileTakedown(_OfTakedown, frozen=True, kw_only=True):
    """A person did what was asked: the action that the URL belongs to is done, for all of its URLs."""

    by: str
    reference: str | None = None  # the host's own number


class TakedownChanged(Message, frozen=True, kw_only=True):
    """A URL after a command."""

    takedown: TakedownShown


class GetHost(Message, frozen=True, kw_only=True):
    """What is known of a host; nothing is looked up for it."""

    org_id: uuid.UUID
    host: str


class HostShown(Message, frozen=True, kw_only=True):
    """A host, and who can remove what is on it."""

    host: str
    site: str
    contact: HostContact | None
    contact_source: str | None
    is_verified: bool
    compliance: str
    registrar_name: str | None = None
    registrar_email: str | None = None
    hoster_name: str | None = None
    hoster_email: str | None = None
    cdn: str | None = None
    resolved_at: datetime | None = None


class ListActions(Message, frozen=True, kw_only=True):
    """What a person has to do, newest first; `after` is the last id of the page before."""

    org_id: uuid.UUID
    limit: int = 50
    after: uuid.UUID | None = None


class ActionShown(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do: where to, and the text that is ready for it. Any of `takedown_ids` files it."""

    id: uuid.UUID
    creator_id: uuid.UUID
    notice_id: uuid.UUID | None
    host: str
    reason: str  # form | none | unverified | ncii | dry_run | review | need_info | counter_notice
    form_url: str | None
    to: str | None
    text: str
    url_count: int
    takedown_ids: tuple[uuid.UUID, ...]
    opened_at: datetime


class ActionPage(Message, frozen=True, kw_only=True):
    """`next_after` continues the list; None = this was its end."""

    actions: tuple[ActionShown, ...]
    next_after: uuid.UUID | None = None


class GetNotice(Message, frozen=True, kw_only=True):
    """One notice."""

    org_id: uuid.UUID
    notice_id: uuid.UUID


class GetTakedownSettings(Message, frozen=True, kw_only=True):
    """What an organization chose about its takedowns."""

    org_id: uuid.UUID


class UpdateTakedownSettings(Message, frozen=True, kw_only=True):
    """Choose. `lumen`: whether copies of sent copyright notices go to the public Lumen database, from now on."""

    org_id: uuid.UUID
    lumen: bool
    by: str = ""


class TakedownSettings(Message, frozen=True, kw_only=True):
    """`lumen` is off unless it was chosen."""

    lumen: bool = False


class NoticeShown(Message, frozen=True, kw_only=True):
    """A notice with its text, exactly as it was sent or would be, and what came back."""

    notice: NoticeBrief
    creator_id: uuid.UUID
    host: str
    category: str
    language: str
    subject: str | None
    text: str | None
    sha256: str | None
    reason: str
    takedown_ids: tuple[uuid.UUID, ...] = ()
    answers: tuple["AnswerShown", ...] = ()


class AnswerShown(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that came back, and what it was taken for."""

    at: datetime
    kind: str
    text: str
