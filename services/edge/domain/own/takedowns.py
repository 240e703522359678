"""What becomes of submitted URLs: the list, one with its timeline, notices, hosts, and what a person has to do (goals G1, G8, G12).

On the gateway and on the surface `platform`. They cost nothing.
"""

import re
from typing import Final
from uuid import UUID

import msgspec

from libs.common.contracts import notices, takedowns
from libs.common.contracts.envelope import Message
from libs.common.contracts.notices import ActionShown, AnswerShown, LookShown, NoticeBrief, TakedownShown, TimelineEntry
from libs.common.contracts.takedowns import HostContact
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of
from services.edge.domain.queries import Values, one_of
from services.edge.domain.refusal import Refusal

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 1_000
ACTIONS_MAX: Final = 25  # each carries its text: up to 100 URLs
REFERENCE_LENGTH_MAX: Final = 200
STATES: Final = (
    "queued", "resolving", "ready", "noticed", "acknowledged", "action_required", "removed", "delisted", "unresponsive",
    "counter_noticed", "rejected", "cancelled", "reported", "failed_refunded",
)  # fmt: skip
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_HOST: Final = Values(_HOST_NAME.pattern, "a host name")

FILTERS: Final = query_of(creator_id=ID, batch_id=ID, state=one_of(*STATES), host=_HOST)


class TakedownList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of takedowns, newest first; `next_cursor` continues it."""

    takedowns: tuple[TakedownShown, ...]
    next_cursor: UUID | None


class TakedownDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A takedown with its history; the newest of each come first."""

    takedown: TakedownShown
    timeline: tuple[TimelineEntry, ...]
    notices: tuple[NoticeBrief, ...]
    looks: tuple[LookShown, ...]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How many takedowns are in which state."""

    states: dict[str, int]
    total: int
    open_actions: int
    removed_30_days: int
    median_removal_hours: float | None


class ActionList(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has to do, newest first; `next_cursor` continues it."""

    actions: tuple[ActionShown, ...]
    next_cursor: UUID | None


class Filing(msgspec.Struct, frozen=True, kw_only=True):
    """What the host answered when its form was filled in."""

    reference: str | None = None


class CsamOrder(msgspec.Struct, frozen=True, kw_only=True):
    """URLs that show the abuse of children, for the authorities."""

    urls: tuple[str, ...]


class CsamReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The report waits for a person, who tells the authorities; `stopped` takedowns of these URLs are not followed any more."""

    report_id: UUID
    url_count: int
    stopped: int


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """`lumen`: whether copies of sent copyright notices go to the public Lumen database; off unless it was chosen."""

    lumen: bool


class NoticeDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A notice with its text, as it was sent or would be, and what came back."""

    notice: NoticeBrief
    creator_id: UUID
    host: str
    category: str
    language: str
    subject: str | None
    text: str | None
    sha256: str | None
    reason: str
    takedown_ids: tuple[UUID, ...]
    answers: tuple[AnswerShown, ...]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host, and who can remove what is on it."""

    host: str
    site: str
    contact: HostContact | None
    contact_source: str | None
    is_verified: bool
    compliance: str


def _cursor(asked: Asked) -> UUID | None:
    return UUID(asked.query["cursor"]) if "cursor" in asked.query else None


def _maybe_id(asked: Asked, name: str) -> UUID | None:
    return UUID(asked.query[name]) if name in asked.query else None


def asked_page(asked: Asked, *, limit: int, after: UUID | None) -> notices.ListTakedowns:
    """The command for a page. Raises Refusal without a creator or a batch: those are the ways in."""
    creator_id, batch_id = _maybe_id(asked, "creator_id"), _maybe_id(asked, "batch_id")
    if creator_id is None and batch_id is None:
        raise Refusal("INVALID_REQUEST", "creator_id or batch_id: one of them is required")
    return notices.ListTakedowns(
        org_id=asked.org_id,
        creator_id=creator_id,
        batch_id=batch_id,
        state=asked.query.get("state"),
        host=asked.query["host"].lower() if "host" in asked.query else None,
        limit=limit,
        after=after,
    )


def _list(asked: Asked) -> notices.ListTakedowns:
    return asked_page(asked, limit=asked.number("limit", default=PAGE_DEFAULT, most=PAGE_MAX), after=_cursor(asked))


def _summary(asked: Asked) -> notices.GetTakedownSummary:
    return notices.GetTakedownSummary(org_id=asked.org_id, creator_id=_maybe_id(asked, "creator_id"))


def _get(asked: Asked) -> notices.GetTakedown:
    return notices.GetTakedown(org_id=asked.org_id, takedown_id=asked.id("takedown_id"))


def _recheck(asked: Asked) -> notices.RecheckTakedown:
    return notices.RecheckTakedown(org_id=asked.org_id, takedown_id=asked.id("takedown_id"))


def _cancel(asked: Asked) -> notices.CancelTakedown:
    return notices.CancelTakedown(org_id=asked.org_id, takedown_id=asked.id("takedown_id"))


def _file(asked: Asked) -> notices.FileTakedown:
    filing: Filing = asked.body
    if filing.reference is not None and not 1 <= len(filing.reference) <= REFERENCE_LENGTH_MAX:
        raise Refusal("INVALID_REQUEST", f"reference: 1 to {REFERENCE_LENGTH_MAX} characters are expected")
    if filing.reference is not None and not filing.reference.isprintable():
        raise Refusal("INVALID_REQUEST", "reference: one line of text is expected")
    by = str(asked.by.key_id or asked.by.user_id or "")
    return notices.FileTakedown(
        org_id=asked.org_id, takedown_id=asked.id("takedown_id"), by=by, reference=filing.reference
    )


def _actions(asked: Asked) -> Message:
    limit = asked.number("limit", default=ACTIONS_MAX, most=ACTIONS_MAX)
    return notices.ListActions(org_id=asked.org_id, limit=limit, after=_cursor(asked))


def _report(asked: Asked) -> takedowns.ReportCsam:
    order: CsamOrder = asked.body
    return takedowns.ReportCsam(org_id=asked.org_id, key_id=asked.caller.key_id, urls=order.urls)


def _reported(reply: takedowns.CsamReported) -> CsamReceipt:
    return CsamReceipt(report_id=reply.report_id, url_count=reply.url_count, stopped=reply.stopped)


def _choices(asked: Asked) -> notices.GetTakedownSettings:
    return notices.GetTakedownSettings(org_id=asked.org_id)


def _choose(asked: Asked) -> notices.UpdateTakedownSettings:
    choices: Choices = asked.body
    by = str(asked.by.key_id or asked.by.user_id or "")
    return notices.UpdateTakedownSettings(org_id=asked.org_id, lumen=choices.lumen, by=by)


def _chosen(reply: notices.TakedownSettings) -> Choices:
    return Choices(lumen=reply.lumen)


def _notice(asked: Asked) -> notices.GetNotice:
    return notices.GetNotice(org_id=asked.org_id, notice_id=asked.id("notice_id"))


def _host(asked: Asked) -> notices.GetHost:
    host = asked.path["host"].lower()
    if not _HOST_NAME.fullmatch(host):
        raise Refusal("NOT_FOUND")
    return notices.GetHost(org_id=asked.org_id, host=host)


def _page(reply: notices.TakedownPage) -> TakedownList:
    return TakedownList(takedowns=reply.takedowns, next_cursor=reply.next_after)


def _detail(reply: notices.TakedownAnswer) -> TakedownDetail:
    return TakedownDetail(takedown=reply.takedown, timeline=reply.timeline, notices=reply.notices, looks=reply.looks)


def _counts(reply: notices.TakedownSummary) -> Summary:
    return Summary(
        states=reply.states, total=reply.total, open_actions=reply.open_actions,
        removed_30_days=reply.removed_30_days, median_removal_hours=reply.median_removal_hours,
    )  # fmt: skip


def _changed(reply: notices.TakedownChanged) -> TakedownShown:
    return reply.takedown


def _to_do(reply: notices.ActionPage) -> ActionList:
    return ActionList(actions=reply.actions, next_cursor=reply.next_after)


def _noticed(reply: notices.NoticeShown) -> NoticeDetail:
    return NoticeDetail(**{name: getattr(reply, name) for name in NoticeDetail.__struct_fields__})


def _hosted(reply: notices.HostShown) -> Host:
    return Host(**{name: getattr(reply, name) for name in Host.__struct_fields__})


ROUTES: Final = (
    OwnRoute(
        name="takedowns_list", method="GET", path="/takedowns", permission="api_takedowns_list",
        query=query_of(**FILTERS, limit=LIMIT, cursor=ID),
        data=TakedownList, command=_list, show=_page,
    ),
    OwnRoute(
        name="takedowns_read_summary", method="GET", path="/takedowns/summary",
        permission="api_takedowns_read_summary", query=query_of(creator_id=ID), data=Summary, command=_summary,
        show=_counts,
    ),
    OwnRoute(
        name="takedowns_read", method="GET", path="/takedowns/{takedown_id}", permission="api_takedowns_read",
        data=TakedownDetail, command=_get, show=_detail,
    ),
    OwnRoute(
        name="takedowns_recheck", method="POST", path="/takedowns/{takedown_id}/recheck",
        permission="api_takedowns_recheck", data=TakedownShown, command=_recheck, show=_changed, is_repeatable=True,
    ),
    OwnRoute(
        name="takedowns_cancel", method="POST", path="/takedowns/{takedown_id}/cancel",
        permission="api_takedowns_cancel", data=TakedownShown, command=_cancel, show=_changed, is_repeatable=True,
    ),
    OwnRoute(
        name="takedowns_file", method="POST", path="/takedowns/{takedown_id}/filed", permission="api_takedowns_file",
        body=Filing, data=TakedownShown, command=_file, show=_changed,
    ),
    OwnRoute(
        name="takedown_actions_list", method="GET", path="/action-items", permission="api_takedown_actions_list",
        query=query_of(limit=LIMIT, cursor=ID), data=ActionList, command=_actions, show=_to_do,
    ),
    OwnRoute(  # whoever may submit may do this: no role has to be changed for it
        name="takedown_csam_report", method="POST", path="/csam-reports", permission="api_takedowns_submit", status=201,
        body=CsamOrder, example={"urls": ["https://piracy-site.com/stolen-content"]}, data=CsamReceipt, command=_report,
        show=_reported, is_repeatable=True,
    ),
    OwnRoute(  # it is about all of an organization's notices
        name="takedown_settings_read", method="GET", path="/takedown-settings", permission="api_organization_read",
        data=Choices, command=_choices, show=_chosen,
    ),
    OwnRoute(
        name="takedown_settings_update", method="PATCH", path="/takedown-settings", permission="api_organization_update",
        body=Choices, example={"lumen": False}, data=Choices, command=_choose, show=_chosen,
    ),
    OwnRoute(
        name="takedown_notices_read", method="GET", path="/notices/{notice_id}",
        permission="api_takedown_notices_read", data=NoticeDetail, command=_notice, show=_noticed,
    ),
    OwnRoute(
        name="takedown_hosts_read", method="GET", path="/hosts/{host}", permission="api_takedown_hosts_read",
        data=Host, command=_host, show=_hosted,
    ),
)  # fmt: skip
