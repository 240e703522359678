"""XARF 4 reports (xarf.org) about copyright, for abuse desks of hosts and registrars: one per URL, none for long notices."""

import uuid
from datetime import datetime
from typing import Any, Final

from services.takedowns.domain.host import Kind
from services.takedowns.domain.notice import Draft, one_line

VERSION: Final = "4.0.0"
REPORTS_MAX: Final = 20  # beyond that a desk's tools choke, and the text says it all
DESCRIPTION_LENGTH_MAX: Final = 1_000


def reports(draft: Draft, *, site_kind: Kind | None, source: str, at: datetime) -> list[dict[str, Any]]:
    """The reports of a notice about a site of `site_kind`, served from the address or host `source`; [] when too many."""
    if len(draft.urls) > REPORTS_MAX:
        return []
    return [_report(draft, url, site_kind, source, at) for url in draft.urls]


def _report(draft: Draft, url: str, site_kind: Kind | None, source: str, at: datetime) -> dict[str, Any]:
    agent = draft.agent
    contact = {
        "org": one_line(agent.name)[:200],
        "contact": agent.email,
        "domain": agent.email.rpartition("@")[2],
    }
    report = {
        "xarf_version": VERSION,
        "report_id": str(uuid.uuid5(draft.notice_id, url)),  # the same for every rendering of the notice
        "timestamp": at.isoformat(timespec="seconds"),
        "reporter": contact,
        "sender": contact,
        "source_identifier": source,
        "category": "copyright",
        "type": "copyright",
        "evidence_source": "rights_holder",
        "infringing_url": url,
        "work_title": f"Photographs, videos and texts by {one_line(draft.work.stage_name)}"[:200],
        "rights_holder": one_line(draft.work.stage_name)[:200],
        "description": "See the notification in the same message for the statements of 17 USC 512(c)(3).",
    }
    match site_kind:
        case Kind.FILEHOST:
            report |= {"type": "cyberlocker", "hosting_service": draft.host}
        case Kind.FORUM:
            report |= {"type": "link_site", "site_name": draft.host}
        case Kind.PLATFORM | Kind.TUBE | Kind.MESSENGER:
            report |= {"type": "ugc_platform", "platform_name": draft.host}
    return report
