"""What an organization is told by mail about one of its creators: counts, hosts and numbers of notices. No URL, no note, no name but
the stage name: a mail box is read by more people than an API key.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import msgspec

from services.takedowns.domain.notice import Agent, one_line
from services.takedowns.domain.notice_mail import Envelope

ANSWERS: Final = ("ack", "removed", "refused")  # of hosts, that are told; a counter-notice is something to do
HOSTS_NAMED_MAX: Final = 50
_WORDS: Final = {
    "ack": "acknowledged by the host",
    "removed": "reported as removed by the host (we look ourselves before we call it removed)",
    "refused": "refused by the host: please decide what to do",
    "form": "to be filed by hand: the host takes its own form only",
    "none": "to be filed by hand: the host names no way",
    "unverified": "waiting: nobody has verified the host's contact",
    "ncii": "to be filed by hand: the depicted person, or someone acting for them, signs",
    "dry_run": "written and not sent: this installation sends nothing",
    "review": "to be looked at: nobody knows whether the notice arrived",
    "need_info": "waiting for your answer: the host has a question",
    "counter_notice": "FROZEN by a counter-notice: the content returns in 10 to 14 business days unless you go to court",
}


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a creator's people should know. `kind` is an action's reason or an answer's kind."""

    kind: str
    host: str
    notice_id: uuid.UUID | None
    is_sandbox: bool = False


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """The creator that a mail is about, and where it goes: its `notification_email` where set, else its `email` (R176)."""

    creator_id: int
    org_id: uuid.UUID
    stage_name: str
    address: str


def write(
    addressee: Addressee, happenings: Sequence[Happening], *, mail_id: uuid.UUID, agent: Agent, at: datetime
) -> Envelope:
    """One mail about all of them. It is sent as the agent: what bounces is read by people."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(display_name=one_line(agent.name), addr_spec=agent.email)
    message["To"] = Address(addr_spec=addressee.address)
    message["Subject"] = one_line(f"Takedowns of {addressee.stage_name}: {_subject(happenings)}")
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<tc.{mail_id.hex}@{agent.email.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(addressee, happenings)) + "\n", charset="utf-8", cte="quoted-printable")
    return Envelope(sender=agent.email, recipient=addressee.address, raw=message.as_bytes())


def _subject(happenings: Sequence[Happening]) -> str:
    if any(each.kind == "counter_notice" for each in happenings):
        return "a counter-notice came in"
    to_do = sum(each.kind not in {"ack", "removed"} for each in happenings)
    return f"{to_do} to look at" if to_do else "hosts have answered"


def _lines(addressee: Addressee, happenings: Sequence[Happening]) -> list[str]:
    counted = Counter((each.kind, each.host) for each in happenings)
    lines = [f"What happened to notices for {one_line(addressee.stage_name)}:", ""]
    for kind in _WORDS:  # in the order of the table, not of chance
        hosts = sorted(host for of, host in counted if of == kind)
        if not hosts:
            continue
        lines.append(f"{sum(counted[kind, host] for host in hosts)} {_WORDS[kind]}")
        lines += [f"    {host}: {counted[kind, host]}" for host in hosts[:HOSTS_NAMED_MAX]]
        if len(hosts) > HOSTS_NAMED_MAX:
            lines.append(f"    and {len(hosts) - HOSTS_NAMED_MAX} more hosts")
        lines.append("")
    lines.append("Details: GET /takedowns/action-items and GET /takedowns of the API.")
    return lines
