"""Mail to the operator's relay, which signs (DKIM) and delivers. One connection, kept while there is something to send."""

import asyncio
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.gateways.post_once import LOOPBACK

TIMEOUT_SECONDS: Final = 60.0
DEFAULT_PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpRelay:
    """Use `parse`. `send` says exactly what became of a mail, or that nobody knows."""

    def __init__(self, smtp: aiosmtplib.SMTP) -> None:
        self._smtp = smtp
        self._turn = asyncio.Lock()  # one mail at a time on the one connection

    @classmethod
    def parse(cls, url: str, *, timeout_s: float = TIMEOUT_SECONDS) -> "SmtpRelay":
        """`smtp://`, `smtp+starttls://` or `smtps://`, with user and password if need be. Raises ValueError, which shows none."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("not a URL") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"a host is expected, and one of {', '.join(f'{scheme}://' for scheme in DEFAULT_PORTS)}")
        if parts.password and parts.scheme == "smtp" and parts.hostname not in LOOPBACK:
            raise ValueError("a password travels over smtp+starttls:// or smtps:// only")
        return cls(
            aiosmtplib.SMTP(
                hostname=parts.hostname,
                port=port or DEFAULT_PORTS[parts.scheme],
                username=unquote(parts.username) if parts.username else None,
                password=unquote(parts.password) if parts.password else None,
                timeout=timeout_s,
                use_tls=parts.scheme == "smtps",
                start_tls=parts.scheme == "smtp+starttls",
                local_hostname="localhost",
            )
        )

    async def close(self) -> None:
        """End the connection, if there is one."""
        async with self._turn:
            self._smtp.close()

    async def send(self, envelope: Envelope) -> str:
        """The relay's word of acceptance. Raises MailDeferred (certainly not taken, may be tried again), MailRefused
        (certainly not taken, for good) and MailUncertain (the connection ended when the text may have been on its way).
        """
        async with self._turn:
            await self._begin(envelope)
            try:
                _code, text = await self._smtp.data(envelope.raw)
            except aiosmtplib.SMTPResponseException as exc:
                raise _told(exc.code, exc.message) from exc
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as exc:
                self._smtp.close()
                raise MailUncertain(type(exc).__name__) from exc
            except asyncio.CancelledError:
                self._smtp.close()
                raise
            return text[:200]

    async def _begin(self, envelope: Envelope) -> None:
        """Everything before the text: what fails here left nothing behind. A connection that grew old is made again."""
        for is_last in (False, True):
            try:
                if not self._smtp.is_connected:
                    await self._smtp.connect()
                await self._smtp.mail(envelope.sender)
                await self._smtp.rcpt(envelope.recipient)
            except aiosmtplib.SMTPResponseException as exc:
                await self._forget_mail()
                raise _told(exc.code, exc.message) from exc
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as exc:
                self._smtp.close()
                if is_last:
                    raise MailDeferred(421, f"relay not reached: {type(exc).__name__}") from exc
            else:
                return

    async def _forget_mail(self) -> None:
        try:
            await self._smtp.rset()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            self._smtp.close()


def _told(code: int, text: str) -> MailDeferred | MailRefused:
    kind = MailRefused if code >= 500 else MailDeferred
    return kind(code, " ".join(text.split())[:200])
