"""A notice: the six elements of 17 USC 512(c)(3)(A) and those of Article 16(2) DSA, from what a creator registered.

Nothing is sent that lacks one of them. Names of creators appear as stage names; a legal name only where a host demands it.
E-mail addresses of creators and notes of organizations have no way in here.
"""

import re
import uuid
from datetime import datetime
from typing import Final

import msgspec

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.host import URLS_PER_MAIL_MAX
from services.takedowns.domain.notice_texts import TEMPLATE_VERSION, Texts, texts_of
from services.takedowns.domain.states import Category, Stage

LINE_LENGTH_MAX: Final = 500  # of what creators typed
_PRINTABLE_URL: Final = re.compile(r"https?://[\x21-\x7e]+")
_TITLES: Final = {Category.COPYRIGHT: "DMCA notice", Category.NCII: "TAKE IT DOWN request"}


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs: the operator's designated agent."""

    name: str
    address: str
    phone: str
    email: str


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Whose work it is, and where a representative list of it stands."""

    stage_name: str
    links: tuple[OfficialLink, ...]
    legal_name: str | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice is made from."""

    notice_id: uuid.UUID
    agent: Agent
    work: Work
    host: str
    urls: tuple[str, ...]
    stage: Stage
    category: Category = Category.COPYRIGHT
    language: str = "en"
    earlier: tuple[tuple[uuid.UUID, datetime], ...] = ()  # notices about the same URLs, and when they were sent
    requires: tuple[str, ...] = ()  # of the host


class NoticeElements(msgspec.Struct, frozen=True, kw_only=True):
    """The six elements, in the order of the statute. An empty one makes the notice void."""

    signature: str
    work: str
    material: str
    contact: str
    good_faith: str
    accuracy: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that may be sent, as far as its text goes."""

    subject: str
    body: str
    elements: NoticeElements
    language: str
    template_version: int = TEMPLATE_VERSION


class IncompleteNoticeError(Exception):
    """An element is missing: nothing may be sent. `missing` names what."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        super().__init__(f"missing: {', '.join(missing)}")


def number_of(notice_id: uuid.UUID) -> str:
    """How people name a notice: the random end of its id."""
    return f"TD-{notice_id.hex[-12:].upper()}"


def one_line(text: str) -> str:
    """`text` without anything that could end a line or hide in it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LINE_LENGTH_MAX]


def render(draft: Draft) -> Notice:
    """The notice. Raises IncompleteNoticeError."""
    language, texts = texts_of(draft.language, draft.category)
    elements = NoticeElements(
        signature=_signature(draft.agent),
        work=_work(draft, texts),
        material=_material(draft, texts),
        contact=_contact(draft.agent, texts),
        good_faith=texts.good_faith,
        accuracy=texts.accuracy,
    )
    lint(draft, elements)
    host = one_line(draft.host)
    earlier = ", ".join(f"{number_of(notice_id)} ({at:%Y-%m-%d})" for notice_id, at in draft.earlier)
    parts = [
        texts.opening[draft.stage].format(host=host),
        elements.work,
        texts.reasons,
        elements.material,
        texts.earlier.format(earlier=earlier) if earlier else "",
        texts.request[draft.stage],
        elements.good_faith,
        elements.accuracy,
        elements.contact,
        texts.answer,
        elements.signature,
    ]
    count = len(draft.urls)
    subject = (
        f"{_TITLES[draft.category]} [{number_of(draft.notice_id)}] {host} ({count} URL{'' if count == 1 else 's'})"
    )
    return Notice(
        subject=subject, body="\n\n".join(part for part in parts if part) + "\n", elements=elements, language=language
    )


def lint(draft: Draft, elements: NoticeElements) -> None:
    """Raise IncompleteNoticeError unless all six elements say something, and every URL is one that can be found."""
    missing = [name for name in elements.__struct_fields__ if not getattr(elements, name).strip()]
    if not draft.host.strip():
        missing.append("host")
    if not 1 <= len(draft.urls) <= URLS_PER_MAIL_MAX:
        missing.append(f"urls: 1 to {URLS_PER_MAIL_MAX}")
    if any(not _PRINTABLE_URL.fullmatch(url) for url in draft.urls):
        missing.append("urls: one is not a web address of printable ASCII")
    if "legal_name" in draft.requires and not (draft.work.legal_name or "").strip():
        missing.append("legal_name: this host demands it")
    if missing:
        raise IncompleteNoticeError(tuple(missing))


def _signature(agent: Agent) -> str:
    name = one_line(agent.name)
    return f"/s/ {name}" if name else ""


def _work(draft: Draft, texts: Texts) -> str:
    stage_name = one_line(draft.work.stage_name)
    links = [f"- {link.platform}: {handle}" for link in draft.work.links if (handle := one_line(link.handle))]
    if not stage_name or not links:
        return ""
    legal_name = one_line(draft.work.legal_name or "") if "legal_name" in draft.requires else ""
    lines = [texts.work.format(stage_name=stage_name)]
    if legal_name:
        lines.append(texts.legal_name.format(legal_name=legal_name))
    return "\n".join([*lines, texts.profiles, *links])


def _material(draft: Draft, texts: Texts) -> str:
    if not draft.urls:
        return ""
    return "\n".join([texts.material.format(count=len(draft.urls)), "", *draft.urls])


def _contact(agent: Agent, texts: Texts) -> str:
    name, address, phone, email = (one_line(text) for text in (agent.name, agent.address, agent.phone, agent.email))
    if not (name and address and phone and email):
        return ""
    return "\n".join([texts.contact, name, address, texts.phone.format(phone=phone), email])
