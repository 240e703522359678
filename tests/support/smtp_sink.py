"""A real mail server on loopback that takes, defers, refuses or drops what it is given."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local import ports


@dataclass
class Sink:
    """`rcpt` and `data`: what to answer (`drop`: hang up instead). `mails`: what was taken; `connections`: who came."""

    port: int
    rcpt: str = ""
    data: str = ""
    refused: dict[str, str] = field(default_factory=dict)  # what to answer for single recipients
    mails: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    _servers: list[SMTP] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def messages(self) -> list[EmailMessage]:
        """What was taken, parsed."""
        parsed = [message_from_bytes(raw, policy=policy.default) for _, _, raw in self.mails]
        return [mail for mail in parsed if isinstance(mail, EmailMessage)]

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.rcpt == "drop":
            hang_up(server)
            return "421 gone"
        if said := self.refused.get(address, self.rcpt):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.data == "drop":
            hang_up(server)  # after the whole text came in, before the answer
            return "421 gone"
        if self.data:
            return self.data
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((envelope.mail_from or "", envelope.rcpt_tos[0], content))
        return "250 OK: queued as 4711"


def hang_up(server: SMTP) -> None:
    """End a connection without a word."""
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


@contextlib.asynccontextmanager
async def a_sink(port: int = 0) -> AsyncIterator[Sink]:
    """A mail server that is up while the block runs."""
    sink = Sink(port=port or ports.pick(1)[0])

    def made() -> SMTP:
        sink.connections += 1
        server = SMTP(sink, hostname="sink.example", enable_SMTPUTF8=False, data_size_limit=10 << 20)
        sink._servers.append(server)
        return server

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", sink.port)
    try:
        yield sink
    finally:
        server.close()
        for one in sink._servers:
            hang_up(one)
        await server.wait_closed()
        handlers = [one._handler_coroutine for one in sink._servers if one._handler_coroutine is not None]
        await asyncio.gather(*handlers, return_exceptions=True)
        await asyncio.sleep(0.01)  # connections end a turn of the loop later
