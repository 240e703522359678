"""A notice as the interface of an abuse desk takes it: the same six elements, in fields instead of a text. What is sent is what is stored."""

import uuid
from typing import Final
from urllib.parse import urlsplit

import msgspec

from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice import Draft, IncompleteNoticeError, Notice, number_of, one_line
from services.takedowns.domain.notice_mail import MailDomains

COMMENTS_LENGTH_MAX: Final = 2_000
WORK_LENGTH_MAX: Final = 255
HOLDER_LENGTH_MAX: Final = 60
URLS_MAX: Final = 250
SCHEME: Final = "api:"  # before a desk's id, where a mail has its recipient's address


class AbuseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk is told. `desk`: its id in the directory."""

    desk: str
    name: str  # who signs
    email: str  # an address with our token: what the desk mails comes back to this notice
    holder: str  # the stage name: a legal name is nobody's business here
    work: str
    urls: tuple[str, ...]  # unique, all of one hostname
    comments: str


def desk_of(to_addr: str | None) -> str | None:
    """The desk's id, where a notice goes to a desk and not to a mailbox."""
    return to_addr.removeprefix(SCHEME) if to_addr is not None and to_addr.startswith(SCHEME) else None


def report_of(
    draft: Draft, notice: Notice, *, notice_id: uuid.UUID, desk: str, tokens: MailTokens, domains: MailDomains
) -> AbuseReport:
    """The report. Raises IncompleteNoticeError where a desk's fields cannot hold what the law asks for."""
    urls = tuple(dict.fromkeys(draft.urls))
    missing = []
    if len({urlsplit(url).hostname for url in urls}) != 1 or len(urls) > URLS_MAX:
        missing.append(f"urls: at most {URLS_MAX} of one hostname")
    elements = notice.elements
    statements = f"[{number_of(notice_id)}] {elements.good_faith} {elements.accuracy}"
    if len(statements) > COMMENTS_LENGTH_MAX:
        missing.append("the statements are longer than the field")
    if missing:
        raise IncompleteNoticeError(tuple(missing))
    links = "; ".join(f"{link.platform}: {one_line(link.handle)}" for link in draft.work.links)
    return AbuseReport(
        desk=desk,
        name=one_line(draft.agent.name),
        email=f"{tokens.local_part('r', notice_id)}@{domains.reply}",
        holder=one_line(draft.work.stage_name)[:HOLDER_LENGTH_MAX],
        work=f"Photographs and videos of {one_line(draft.work.stage_name)[:HOLDER_LENGTH_MAX]}, as on {links}"[
            :WORK_LENGTH_MAX
        ],
        urls=urls,
        comments=statements,
    )
