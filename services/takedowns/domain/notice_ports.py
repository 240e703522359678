"""What notices and checks need from the world outside; what they need from the truth is in `ports.py`."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.takedowns.domain.abuse_report import AbuseReport
from services.takedowns.domain.host import Address, Responsible
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.domain.verdict import Look


class ReceivedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it lies in the mailbox. `uid` is the mailbox's own name for it."""

    uid: str
    raw: bytes


class Mailbox(Protocol):
    """Where answers and bounces arrive."""

    async def fetch(self, limit: int) -> Sequence[ReceivedMail]:
        """The oldest mails that are not done; the same ones again until they are. Raises MailboxAway."""
        ...

    async def done(self, mail: ReceivedMail) -> None:
        """The mail had its effect. May be repeated. Raises MailboxAway."""
        ...


class Relay(Protocol):
    """Whoever carries mails out."""

    async def send(self, envelope: Envelope) -> str:
        """The word of acceptance. Raises MailDeferred, MailRefused, MailUncertain. Never tries twice."""
        ...


class AbuseDesk(Protocol):
    """The interface of an abuse desk."""

    async def report(self, report: AbuseReport) -> str:
        """The desk's own number of the report, or nothing if it gives none. Raises MailDeferred, DeskRefused, MailUncertain. Never
        tries twice.
        """
        ...


class DryFolder(Protocol):
    """Where mails go that are not sent."""

    async def keep(self, name: str, envelope: Envelope) -> None: ...


class Registries(Protocol):
    """What registries say. Raises RegistryTrouble."""

    async def registrar(self, domain: str) -> Responsible:
        """Of a registrable domain; empty where nobody can say."""
        ...

    async def holder(self, address: Address) -> Responsible:
        """Of an address."""
        ...


class Names(Protocol):
    """The domain name system."""

    async def addresses(self, host: str) -> Sequence[Address]:
        """Of a host; empty when it has none, or none can be had now."""
        ...


class Eyes(Protocol):
    """Looks at pages."""

    async def look(self, url: str, *, is_head: bool) -> Look:
        """One look; whatever goes wrong is in it."""
        ...

    async def look_at_missing(self, url: str, *, is_head: bool) -> Look | None:
        """What the site shows beside `url` for a path that never was, at most a day old; None when that is not known."""
        ...
