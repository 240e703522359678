"""URLs under way on real servers for tests: Postgres, a mail server, a Maildir, a web site. The clock is the test's."""

import contextlib
import ipaddress
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp.abc import AbstractResolver, ResolveResult

from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchAccepted, ResolveHost, SendNotice
from libs.common.http.guarded import GuardedClient
from services.takedowns.app import Outside, under_way
from services.takedowns.domain.host import Address, Entry, Kind, Method, Responsible, Source
from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.domain.notice_mail import MailDomains
from services.takedowns.domain.notice_ports import AbuseDesk
from services.takedowns.domain.public_copy import PublicRecord
from services.takedowns.domain.sending import Sending
from services.takedowns.domain.states import State
from services.takedowns.domain.url import UrlReader
from services.takedowns.gateways.eyes import PageEyes
from services.takedowns.gateways.mail_folder import MailFolder
from services.takedowns.gateways.mailbox import open_mailbox
from services.takedowns.gateways.smtp import SmtpRelay
from services.takedowns.usecases.under_way import UnderWay
from tests.support.clock import FakeClock
from tests.support.servers import TestDatabase
from tests.support.site import Site, a_site
from tests.support.smtp_sink import Sink, a_sink
from tests.support.takedown_notices import AGENT, TOKEN_KEY
from tests.support.takedowns import Takedowns

HOST = "leaks-and-more.com"
MAILBOX = f"dmca@{HOST}"
AHEAD_MS = 60_000  # of the database's clock, which says when a host is first due, however slow the machine is


class Loopback(AbstractResolver):
    """Every name is this machine, but those in `unknown` and `elsewhere`."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.elsewhere: dict[str, str] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host in self.unknown:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        address = self.elsewhere.get(host, "127.0.0.1")
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


@dataclass
class Registries:
    """What registries say: the same of everything, unless `trouble` is raised."""

    found_registrar: Responsible = field(default_factory=Responsible)
    found_holder: Responsible = field(default_factory=Responsible)
    trouble: RegistryTrouble | None = None
    asked: int = 0

    async def registrar(self, domain: str) -> Responsible:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.found_registrar

    async def holder(self, address: Address) -> Responsible:
        if self.trouble is not None:
            raise self.trouble
        return self.found_holder


class Names:
    """Every host has one address."""

    async def addresses(self, host: str) -> Sequence[Address]:
        return [ipaddress.ip_address("93.184.216.34")]


@dataclass
class World:
    """The service in this process, and what is around it."""

    takedowns: Takedowns
    clock: FakeClock
    sink: Sink
    site: Site
    names: Loopback
    registries: Registries
    maildir: Path
    dry: Path
    tokens: MailTokens
    do: UnderWay
    admin_dsn: str
    said: list[Message] = field(default_factory=list)
    counted: int = 0

    async def on_job(self, message: Message) -> None:
        """Our own jobs."""
        if isinstance(message, BatchAccepted):
            await self.do.start_urls(message.batch_id)
        elif isinstance(message, ResolveHost):
            await self.do.resolve_host(message.host_id)
        elif isinstance(message, SendNotice):
            await self.do.send_notice(message.notice_id)

    async def turn(self, **by: float) -> None:
        """Let time pass, and everything that is due happen."""
        self.clock.advance(**by)
        for _ in range(4):
            self.said += await self.takedowns.carry()
            planned = await self.do.plan_notices()
            now = self.clock.now()
            progress = self.takedowns.on.progress
            due = await progress.claim_notices(now=now, until=now.replace(microsecond=0), limit=100)
            for host_id in await progress.hosts_to_resolve(now=now, limit=100):
                await self.do.resolve_host(host_id)
            assert self.do.check_urls is not None
            looked = await self.do.check_urls()
            assert self.do.read_mail is not None
            read = await self.do.read_mail()
            self.said += await self.takedowns.carry()
            if not (planned or due or looked or read):
                return

    async def submit(
        self, *paths: str, host: str = HOST, creator: uuid.UUID | None = None, **options: Any
    ) -> uuid.UUID:
        """A creator with URLs on the site; answers the creator."""
        creator = creator or await self.takedowns.creator("Luna Vale")
        urls = [f"http://{host}:{self.site.port}{path}" for path in paths]
        await self.takedowns.submit((creator, urls), **options)
        return creator

    async def begin(self, *paths: str, **options: Any) -> uuid.UUID:
        """Submitted, resolved, planned and, if it may be, sent."""
        creator = await self.submit(*paths, **options)
        await self.turn(seconds=1)
        await self.turn(minutes=2)
        await self.turn(minutes=6)
        return creator

    async def states(self, creator: uuid.UUID) -> list[tuple[str, int]]:
        """State and stage of each URL of a creator."""
        rows = await self.takedowns.db.fetch(
            "SELECT state, stage FROM urls WHERE creator_id = (SELECT id FROM creators WHERE public_id = $1) ORDER BY id",
            creator,
        )
        return [(State(row["state"]).word, row["stage"]) for row in rows]

    async def notices(self) -> list[dict[str, Any]]:
        """All notices, oldest first."""
        return [dict(row.items()) for row in await self.takedowns.db.fetch("SELECT * FROM notices ORDER BY id")]

    async def actions(self) -> list[dict[str, Any]]:
        """All open actions."""
        rows = await self.takedowns.db.fetch("SELECT * FROM actions WHERE closed_at IS NULL ORDER BY id")
        return [dict(row.items()) for row in rows]

    async def url_id(self, creator: uuid.UUID) -> uuid.UUID:
        return (await self.takedowns.url_ids(creator))[0]

    def receive(self, message: EmailMessage | bytes) -> None:
        """A mail arrives."""
        self.counted += 1
        raw = message if isinstance(message, bytes) else bytes(message)
        (self.maildir / "new" / f"17000000{self.counted:02d}.M{self.counted}.host").write_bytes(raw)

    def sender_of(self, number: int = -1) -> str:
        """The envelope sender of a mail that left: where it bounces to."""
        return self.sink.mails[number][0]

    def reply_to(self, number: int = -1) -> str:
        """Where answers to a mail that left go."""
        return str(self.sink.messages()[number]["Reply-To"])

    async def entry(self, **changes: Any) -> None:
        """An entry of the directory that an operator wrote and verified."""
        entry = Entry(
            id="leaks", name="Leaks", match=(f".{HOST}",), kind=Kind.TUBE, takedown_method=Method.EMAIL, source=Source.OPERATOR,
            dmca_email=MAILBOX, verified_at=self.clock.now(), confidence="high",
        )  # fmt: skip
        values = {name: getattr(entry, name) for name in Entry.__struct_fields__} | changes
        columns = ", ".join(values)
        marks = ", ".join(f"${at}" for at in range(1, len(values) + 1))
        args = [list(value) if isinstance(value, tuple) else value for value in values.values()]
        await self.takedowns.db.execute("DELETE FROM directory WHERE id = $1", values["id"])
        await self.takedowns.db.execute(f"INSERT INTO directory ({columns}) VALUES ({marks})", *args)

    async def keep_every_check(self) -> None:
        """Looks of any year find a partition."""
        admin = await asyncpg.connect(self.admin_dsn)
        try:
            await admin.execute("CREATE TABLE takedowns.checks_else PARTITION OF takedowns.checks DEFAULT")
        finally:
            await admin.close()


@contextlib.asynccontextmanager
async def a_world(
    takedowns: Takedowns,
    database: TestDatabase,
    folder: Path,
    *,
    is_dry: bool = False,
    desks: Mapping[str, AbuseDesk] | None = None,
    record: PublicRecord | None = None,
) -> AsyncIterator[World]:
    """A world in which notices are sent to the sink (or not at all) and URLs lead to the site."""
    maildir, dry = folder / "maildir", folder / "dry"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    clock, names, registries, tokens = (
        FakeClock(int(time.time() * 1000) + AHEAD_MS),
        Loopback(),
        Registries(),
        MailTokens.parse(TOKEN_KEY),
    )
    sending = Sending(
        agent=AGENT, domains=MailDomains(reply="reply.example", bounce="bounce.example"), tokens=tokens, is_dry=is_dry
    )

    async def no_pause(_: float) -> None: ...

    async with a_sink() as sink, a_site() as site:
        http = await GuardedClient.open(user_agent="fangate-test", resolver=names, allowed=[site.address])
        relay = SmtpRelay.parse(sink.url, timeout_s=2.0)
        outside = Outside(
            registries=registries, names=Names(), eyes=PageEyes(http, clock), relay=None if is_dry else relay,
            mailbox=open_mailbox(f"maildir:{maildir}"), folder=MailFolder(dry) if is_dry else None, desks=desks or {}, record=record,
            sleep=no_pause,
        )  # fmt: skip
        do = under_way(takedowns.on, outside, sending, clock, takedowns.do.way, UrlReader([]))
        world = World(takedowns, clock, sink, site, names, registries, maildir, dry, tokens, do, database.admin_dsn)
        takedowns.on_job = world.on_job
        try:
            yield world
        finally:
            await relay.close()
            await http.close()
