"""Where answers and bounces arrive: a Maildir that a mail server writes into, or an IMAP mailbox. Read by a timer."""

import asyncio
import contextlib
import imaplib
import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from services.takedowns.domain.notice_errors import MailboxAway
from services.takedowns.domain.notice_ports import Mailbox, ReceivedMail

MAIL_BYTES_MAX: Final = 1 << 20  # of what is read of a mail: answers are short, the rest is what they quote
TIMEOUT_SECONDS: Final = 30.0
_UID: Final = re.compile(rb"UID (\d+)")

T = TypeVar("T")


def open_mailbox(url: str) -> Mailbox:
    """`maildir:/path`, `imaps://user:password@host[:port]/folder` or `imap://…` (this machine only). Raises ValueError."""
    scheme, _, rest = url.partition(":")
    if scheme == "maildir" and rest.startswith("/"):
        return Maildir(Path(rest))
    if scheme in {"imap", "imaps"}:
        parts = urlsplit(url)
        if not parts.hostname or not parts.username or not parts.password:
            raise ValueError("a host, a user and a password are expected")
        if scheme == "imap" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError("a password travels over imaps:// only")
        return ImapMailbox(
            host=parts.hostname,
            port=parts.port or (993 if scheme == "imaps" else 143),
            user=unquote(parts.username),
            password=unquote(parts.password),
            folder=unquote(parts.path.lstrip("/")) or "INBOX",
            is_tls=scheme == "imaps",
        )
    raise ValueError("maildir:/path or imaps://user:password@host/folder is expected")


class Maildir:
    """New mails stand in `new/`; one that is done moves to `cur/`, seen. Other programs may read along."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def fetch(self, limit: int) -> list[ReceivedMail]:
        """The oldest new mails. Raises MailboxAway."""
        return await _in_thread(lambda: self._read(limit))

    async def done(self, mail: ReceivedMail) -> None:
        """The mail had its effect. Doing so again is fine. Raises MailboxAway."""
        await _in_thread(lambda: self._move(mail.uid))

    def _read(self, limit: int) -> list[ReceivedMail]:
        found = []
        names = sorted(entry.name for entry in os.scandir(self._folder / "new") if not entry.name.startswith("."))
        for name in names[:limit]:
            with contextlib.suppress(FileNotFoundError), (self._folder / "new" / name).open("rb") as file:
                found.append(ReceivedMail(uid=name, raw=file.read(MAIL_BYTES_MAX)))
        return found

    def _move(self, name: str) -> None:
        mail = self._folder / "new" / name
        try:
            mail.rename(self._folder / "cur" / f"{name}:2,S")
        except FileNotFoundError:
            if mail.exists() or not mail.parent.exists():
                raise  # a folder is away; else it was done before


class ImapMailbox:
    """Unseen mails of a folder; one that is done is marked as seen. A connection per turn: nothing to keep alive."""

    def __init__(self, *, host: str, port: int, user: str, password: str, folder: str, is_tls: bool) -> None:
        self._host, self._port, self._is_tls = host, port, is_tls
        self._user, self._password, self._folder = user, password, folder

    async def fetch(self, limit: int) -> list[ReceivedMail]:
        """The oldest unseen mails. Raises MailboxAway."""
        return await _in_thread(lambda: self._with(lambda imap: self._read(imap, limit)))

    async def done(self, mail: ReceivedMail) -> None:
        """The mail had its effect. Doing so again is fine. Raises MailboxAway."""
        await _in_thread(lambda: self._with(lambda imap: _uid(imap, "STORE", mail.uid, "+FLAGS.SILENT", "(\\Seen)")))

    def _with(self, work: Callable[[imaplib.IMAP4], T]) -> T:
        if self._is_tls:
            imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                self._host, self._port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT_SECONDS
            )
        else:
            imap = imaplib.IMAP4(self._host, self._port, timeout=TIMEOUT_SECONDS)
        with imap:
            imap.login(self._user, self._password)
            status, _ = imap.select(f'"{self._folder}"')
            if status != "OK":
                raise imaplib.IMAP4.error("no such folder")
            return work(imap)

    @staticmethod
    def _read(imap: imaplib.IMAP4, limit: int) -> list[ReceivedMail]:
        found = _uid(imap, "SEARCH", "UNSEEN")
        mails = []
        for uid in sorted((found[0] or b"").split(), key=int)[:limit]:  # servers promise no order (RFC 3501 §7.2.5)
            _, parts = imap.uid("FETCH", uid.decode(), f"(UID BODY.PEEK[]<0.{MAIL_BYTES_MAX}>)")
            mails += [
                ReceivedMail(uid=uid.decode(), raw=part[1])
                for part in parts
                if isinstance(part, tuple) and (match := _UID.search(part[0])) and match[1] == uid
            ]
        return mails


def _uid(imap: imaplib.IMAP4, command: str, *args: str) -> list[Any]:
    """What the server says to a command about UIDs. Raises IMAP4.error if it refuses, which imaplib does not."""
    status, said = imap.uid(command, *args)
    if status != "OK":
        raise imaplib.IMAP4.error(f"{command} refused")
    return said


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except (OSError, imaplib.IMAP4.error) as exc:
        # The server's words may repeat what we sent, the password too.
        raise MailboxAway(detail=type(exc).__name__) from None
