"""Takedowns in a running system with a world around it, for tests: mail in and out, a site, registries; only the day is the test's."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from tests.e2e.clients.platform import PlatformClient
from tests.support.rdap import card, domain_answer, entity, network_answer
from tests.support.site import Site, a_site
from tests.support.smtp_sink import Sink, a_sink
from tests.support.stack import Stack, a_stack
from tests.support.takedown_notices import AGENT, TOKEN_KEY
from tests.support.takedowns_process import VARIABLE, Described

PATIENCE_S: Final = 180.0
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
HOSTER: Final = "abuse@hoster.example"
_ENTRY: Final = """INSERT INTO takedowns.directory (id, source, name, match, kind, takedown_method, dmca_email, form_url, confidence, verified_at,
             verified_by) VALUES ($1, 'operator', $1, ARRAY['.' || $1], 'tube', $2, $3, $4, 'high', now(), 'a person')"""


@dataclass
class Life:
    """A running system and the world around it."""

    stack: Stack
    sink: Sink
    site: Site
    maildir: Path
    day_file: Path
    ahead_s: float = 0.0
    received: int = 0
    said: dict[str, list[str]] = field(default_factory=dict)

    def later(self, seconds: float) -> None:
        """The day moves on."""
        self.ahead_s += seconds
        fresh = self.day_file.with_suffix(".new")
        fresh.write_text(f"{self.ahead_s}", encoding="ascii")
        fresh.replace(self.day_file)

    def receive(self, mail: EmailMessage) -> None:
        """A mail arrives."""
        self.received += 1
        (self.maildir / "new" / f"1700000{self.received:03d}.M{self.received}.host").write_bytes(bytes(mail))

    def mails_to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.sink.messages() if mail["To"] == address]

    def bounces_of(self, address: str) -> str:
        """Where a mail to `address` bounces to."""
        sender: str = next(sender for sender, recipient, _ in self.sink.mails if recipient == address)
        return sender

    async def knows(self, host: str, *, form_url: str | None = None) -> None:
        """An operator verified whom to write to at `host`."""
        method, mailbox = ("email", f"dmca@{host}") if form_url is None else ("form", None)
        await self._sql(_ENTRY, host, method, mailbox, form_url)

    async def has_asked_registries(self) -> bool:
        """Whether every host was resolved at least once; no answer shows that."""
        return not await self._sql("SELECT EXISTS (SELECT FROM takedowns.hosts WHERE resolve_tries = 0)")

    async def _sql(self, query: str, *arguments: Any) -> Any:
        admin = await asyncpg.connect(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
        try:
            return await admin.fetchval(query, *arguments)
        finally:
            await admin.close()

    async def until(self, wanted: Callable[[], Any]) -> Any:
        """Until the world is as wanted; `wanted` may be a coroutine function."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = wanted()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def a_life(run: Path, folder: Path, **settings: str) -> AsyncIterator[Life]:
    """The system with its files in `run`, the world's in `folder`. `settings` come on top of those that notices need."""
    maildir, day_file = folder / "maildir", folder / "day"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    day_file.write_text("0", encoding="ascii")
    async with a_sink() as sink, a_site() as site, a_site() as registry:
        registry.missing = (200, msgspec.json.encode(domain_answer()).decode())
        network = network_answer(entity("abuse", card("Hoster", HOSTER)))
        registry.pages["/ip/93.184.216.34"] = (200, msgspec.json.encode(network).decode())
        world = Described(
            allowed=(site.address, registry.address), rdap_url=f"http://registry.example:{registry.port}/",
            day_file=str(day_file),
        )  # fmt: skip
        os.environ[VARIABLE] = msgspec.json.encode(world).decode()  # for the launcher
        needed = {
            "FANGATE_NOTICE_MODE": "send", "FANGATE_NOTICE_LEGAL_REVIEWED_BY": "a test", "FANGATE_SMTP_URL": sink.url,
            "FANGATE_AGENT_NAME": AGENT.name, "FANGATE_AGENT_ADDRESS": AGENT.address, "FANGATE_AGENT_PHONE": AGENT.phone,
            "FANGATE_AGENT_EMAIL": AGENT.email, "FANGATE_MAIL_REPLY_DOMAIN": "reply.example",
            "FANGATE_MAILBOX_URL": f"maildir:{maildir}",
        }  # fmt: skip
        if "FANGATE_MAIL_TOKEN_KEYS_FILE" not in settings:
            needed["FANGATE_MAIL_TOKEN_KEYS"] = TOKEN_KEY
        try:
            async with a_stack(run, launcher="tests.support.takedowns_launcher", **needed, **settings) as stack:
                yield Life(stack, sink, site, maildir, day_file)
        finally:
            del os.environ[VARIABLE]


async def a_creator(client: PlatformClient, name: str) -> str:
    email = f"{uuid.uuid4().hex}@example.com"
    links = [{"platform": "onlyfans", "handle": "lunavale"}]
    await client.submit_creators({"stage_name": name, "email": email, "official_links": links})
    return str(next(each["id"] for each in (await client.creators())["creators"] if each["email"] == email))
