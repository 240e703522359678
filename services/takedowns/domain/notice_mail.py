"""A notice as a mail: plain text, one URL per line, headers that find their way back. What is sent is what is stored."""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

import msgspec

from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice import Agent, Notice, one_line

LINE_BYTES_MAX: Final = 998  # RFC 5321; longer lines (long URLs) are encoded, and whole again for the reader
_HEADERS: Final = policy.SMTP
_CONTENT: Final = policy.SMTP.clone(max_line_length=LINE_BYTES_MAX)


class MailDomains(msgspec.Struct, frozen=True, kw_only=True):
    """Where answers and bounces come back to."""

    reply: str
    bounce: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A mail ready to be handed to the relay."""

    sender: str
    recipient: str
    raw: bytes


def message_id(notice_id: uuid.UUID, number: int, domain: str) -> str:
    """The Message-ID of a notice's mail. `number`: the first, a follow-up …"""
    return f"<td.{notice_id.hex}.{number}@{domain}>"


def compose(
    notice: Notice,
    *,
    notice_id: uuid.UUID,
    msg_id: str,
    to: str,
    agent: Agent,
    tokens: MailTokens,
    domains: MailDomains,
    at: datetime,
    thread_root: str | None = None,
    xarf: Sequence[dict[str, Any]] = (),
) -> Envelope:
    """The mail. The same arguments give the same bytes. DKIM is the relay's business."""
    message = EmailMessage(policy=_CONTENT)
    message["From"] = _address(one_line(agent.name), agent.email)
    message["To"] = _address("", to)
    message["Reply-To"] = _address("", f"{tokens.local_part('r', notice_id)}@{domains.reply}")
    message["Subject"] = notice.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = msg_id
    message["Auto-Submitted"] = "auto-generated"
    if thread_root is not None and thread_root != msg_id:
        message["In-Reply-To"] = thread_root
        message["References"] = thread_root
    message["Content-Language"] = notice.language
    is_plain = notice.body.isascii() and all(len(line) <= LINE_BYTES_MAX for line in notice.body.splitlines())
    message.set_content(notice.body, charset="utf-8", cte="7bit" if is_plain else "quoted-printable")
    for number, report in enumerate(xarf, start=1):
        message.add_attachment(
            json.dumps(report, ensure_ascii=True, indent=1).encode(),
            maintype="application", subtype="json", filename=f"xarf-{number}.json", cte="base64",
        )  # fmt: skip
    if xarf:
        message.set_boundary(f"td-{notice_id.hex}")
    return Envelope(
        sender=f"{tokens.local_part('b', notice_id)}@{domains.bounce}",
        recipient=to,
        raw=message.as_bytes(policy=_HEADERS),
    )


def _address(name: str, address: str) -> Address:
    """Raises ValueError for what is no address, a line break in it above all."""
    try:
        return Address(display_name=name, addr_spec=address)
    except (HeaderParseError, IndexError) as exc:  # an empty one: what is raised depends on Python's version
        raise ValueError("not an address") from exc
