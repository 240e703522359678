"""A copy of a sent notice for the public: who complained to whom about which addresses, and of whose work. No e-mail, no telephone, no street, no
legal name, no note: the copy is made of fields that have none, not of the notice's text.
"""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.notice import number_of, one_line


class SentNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that left, as far as the public may know it."""

    id: uuid.UUID
    host: str
    stage_name: str
    links: tuple[OfficialLink, ...]
    urls: tuple[str, ...]
    language: str
    sent_at: datetime
    tries: int = 1


class PublicCopy(msgspec.Struct, frozen=True, kw_only=True):
    """What is published."""

    title: str
    sender: str  # the agent
    recipient: str  # the host
    work: str
    urls: tuple[str, ...]
    language: str
    sent_on: str


def copy_of(notice: SentNotice, *, agent: str) -> PublicCopy:
    """The copy."""
    links = ", ".join(f"{link.platform}: {one_line(link.handle)}" for link in notice.links)
    return PublicCopy(
        title=f"DMCA notice {number_of(notice.id)} to {notice.host}",
        sender=one_line(agent),
        recipient=notice.host,
        work=f"Photographs and videos of {one_line(notice.stage_name)} ({links})",
        urls=notice.urls,
        language=notice.language,
        sent_on=f"{notice.sent_at:%Y-%m-%d}",
    )


class PublicRecord(Protocol):
    """Where copies are published."""

    async def publish(self, copy: PublicCopy) -> str:
        """Its name there. Raises MailDeferred, MailRefused, MailUncertain. Never tries twice."""
        ...


class SharedTx(Protocol):
    """An open transaction."""

    async def claim(self, *, now: datetime, until: datetime) -> SentNotice | None:
        """A copy that is due, of an organization that still wants it; it is `sending` from here on, also if we vanish. What an
        organization does not want any more is withdrawn.
        """
        ...


class SharedNotices(Protocol):
    """Who chose to share, and what is to be published."""

    def transaction(self) -> AbstractAsyncContextManager[SharedTx]: ...

    async def wants(self, org_id: uuid.UUID) -> bool: ...

    async def choose(self, org_id: uuid.UUID, *, lumen: bool, by: str, now: datetime) -> None: ...

    async def settle(
        self, notice_id: uuid.UUID, status: str, *, now: datetime, due_at: datetime | None = None, lumen_id: str = ""
    ) -> None:
        """What became of a copy."""
        ...

    async def give_up_lost(self, *, now: datetime) -> Sequence[uuid.UUID]:
        """Copies whose sender vanished are `uncertain`: never sent again."""
        ...
