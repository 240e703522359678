"""The whole life of takedowns in one running system, over real sockets: from a submission to a removal that was proved, and every way
in which it may go wrong. Only the day is the test's: it moves on when everything of the day has happened.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from deploy.local.profile import RUN
from tests.e2e.clients.platform import PlatformClient
from tests.support.mails import a_bounce, a_mail
from tests.support.rdap import card, domain_answer, entity, network_answer
from tests.support.site import Site, a_site
from tests.support.smtp_sink import Sink, a_sink
from tests.support.stack import Stack, a_stack
from tests.support.takedown_notices import AGENT, TOKEN_KEY
from tests.support.takedowns_process import VARIABLE, Described

CREDITS = 100
PATIENCE_S = 180.0
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
ENTRY = """INSERT INTO takedowns.directory (id, source, name, match, kind, takedown_method, dmca_email, form_url, confidence, verified_at,
             verified_by) VALUES ($1, 'operator', $1, ARRAY['.' || $1], 'tube', $2, $3, $4, 'high', now(), 'a person')"""
GONE, BOUNCE, REFUSE, COUNTER, FORM = (f"leaks-{name}.com" for name in ("gone", "bounce", "refuse", "counter", "form"))
HOSTER = "abuse@hoster.example"
pytestmark = pytest.mark.timeout(900)  # a whole system starts, and sixty days go by


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


@pytest.fixture
async def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    maildir, day_file = tmp_path / "maildir", tmp_path / "day"
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
        monkeypatch.setenv(VARIABLE, msgspec.json.encode(world).decode())
        settings = {
            "FANGATE_NOTICE_MODE": "send", "FANGATE_NOTICE_LEGAL_REVIEWED_BY": "a test", "FANGATE_SMTP_URL": sink.url,
            "FANGATE_AGENT_NAME": AGENT.name, "FANGATE_AGENT_ADDRESS": AGENT.address, "FANGATE_AGENT_PHONE": AGENT.phone,
            "FANGATE_AGENT_EMAIL": AGENT.email, "FANGATE_MAIL_REPLY_DOMAIN": "reply.example",
            "FANGATE_MAIL_TOKEN_KEYS": TOKEN_KEY, "FANGATE_MAILBOX_URL": f"maildir:{maildir}",
        }  # fmt: skip
        launcher = "tests.support.takedowns_launcher"
        async with a_stack(RUN / f"stack-{os.getpid()}-life", launcher=launcher, **settings) as stack:
            yield Life(stack, sink, site, maildir, day_file)


async def a_creator(client: PlatformClient, name: str) -> str:
    email = f"{uuid.uuid4().hex}@example.com"
    links = [{"platform": "onlyfans", "handle": "lunavale"}]
    await client.submit_creators({"stage_name": name, "email": email, "official_links": links})
    return str(next(each["id"] for each in (await client.creators())["creators"] if each["email"] == email))


async def test_a_url_from_its_submission_to_its_proved_removal_and_every_way_that_goes_wrong(life: Life) -> None:
    # given an organization, a site that has its content on five hosts, and an operator who verified whom to write to
    organization = await life.stack.an_organization(credits=CREDITS)
    admin = await asyncpg.connect(life.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        for host in (GONE, BOUNCE, REFUSE, COUNTER):
            await admin.execute(ENTRY, host, "email", f"dmca@{host}", None)
        await admin.execute(ENTRY, FORM, "form", None, f"https://{FORM}/dmca")
    finally:
        await admin.close()
    for path in ("/gone", "/bounce", "/refuse", "/counter", "/form"):
        life.site.pages[path] = f"<title>stolen</title><p>{path} is here, alive and well"

    async with PlatformClient(f"{life.stack.url}/api/platforms", organization.key) as client:
        creator, poisoned = await a_creator(client, "Luna Vale"), await a_creator(client, "Poison")

        async def states(of: str = creator) -> dict[str, str]:
            _, page = await client.call("GET", f"/takedowns?creator_id={of}")
            return {each["host"]: each["state"] for each in page["takedowns"]}

        async def state_is(host: str, state: str, of: str = creator) -> bool:
            return (await states(of)).get(host) == state

        # when it is submitted
        urls = [f"http://{host}:{life.site.port}/{host[6:-4]}" for host in (GONE, BOUNCE, REFUSE, COUNTER)]
        told = await client.submit_urls(
            {"creator_id": creator, "urls": urls},
            {"creator_id": poisoned, "urls": [f"http://{FORM}:{life.site.port}/form"]},
        )
        assert told["new"] == 5

        # then contacts are found, and one notice is delivered to each over SMTP
        async def hosts_are_known() -> bool:
            found = [(await client.call("GET", f"/hosts/{host}"))[1] for host in (GONE, BOUNCE, REFUSE, COUNTER, FORM)]
            return all(each["contact_source"] == "operator" for each in found)

        await life.until(hosts_are_known)
        life.later(2 * MINUTE)
        await life.until(lambda: state_is(GONE, "ready"))
        life.later(6 * MINUTE)
        await life.until(lambda: all(life.mails_to(f"dmca@{host}") for host in (GONE, BOUNCE, REFUSE, COUNTER)))
        (notice,) = life.mails_to(f"dmca@{GONE}")
        assert urls[0] in notice.get_content().splitlines()
        for host in (GONE, BOUNCE, REFUSE, COUNTER):
            await life.until(lambda host=host: state_is(host, "noticed"))  # type: ignore[misc]

        # when hosts answer: one acknowledges, one mailbox does not exist, one refuses, one sends a counter-notice
        life.receive(a_mail("We received your report. Ticket #4711.", to=str(notice["Reply-To"])))
        life.receive(a_bounce(to=life.bounces_of(f"dmca@{BOUNCE}"), recipient=f"dmca@{BOUNCE}"))
        (refused,), (countered,) = life.mails_to(f"dmca@{REFUSE}"), life.mails_to(f"dmca@{COUNTER}")
        life.receive(
            a_mail("We are unable to process your request, it is not hosted by us.", to=str(refused["Reply-To"]))
        )
        life.receive(
            a_mail("I submit a counter notification under 17 U.S.C. 512(g)(3).", to=str(countered["Reply-To"]))
        )

        # then each is where it belongs, and the next stage is asked for what bounced: its hoster, with a report for machines
        await life.until(lambda: state_is(GONE, "acknowledged"))
        await life.until(lambda: state_is(REFUSE, "rejected"))
        await life.until(lambda: state_is(COUNTER, "counter_noticed"))
        life.later(20 * MINUTE)
        await life.until(lambda: life.mails_to(HOSTER))
        (second,) = life.mails_to(HOSTER)
        assert [part.get_filename() for part in second.iter_attachments()] == ["xarf-1.json"]
        await life.until(lambda: state_is(BOUNCE, "noticed"))

        # and a defect that a URL meets costs nobody a credit: three tries, then it is refunded, once
        await life.until(lambda: state_is(FORM, "ready", poisoned))
        for _ in range(4):
            life.later(6 * MINUTE)
            await asyncio.sleep(2.0)  # a turn of the planner's timer; nothing outside shows that one has failed
        await life.until(lambda: state_is(FORM, "failed_refunded", poisoned))

        # when the content is gone, twice, hours apart
        del life.site.pages["/gone"]
        life.later(7 * HOUR)
        await life.until(lambda: "/gone" in life.site.asks)
        assert await state_is(GONE, "acknowledged"), "one look proves nothing"
        life.later(DAY)
        await life.until(lambda: state_is(GONE, "removed"))

        # when it is back, also twice, it is told again for free, and the earlier notice is cited
        life.site.pages["/gone"] = "<title>stolen</title><p>/gone is here, alive and well"
        for _ in range(4):
            life.later(16 * DAY)
            seen = life.site.asks.count("/gone")
            await life.until(lambda seen=seen: life.site.asks.count("/gone") > seen)  # type: ignore[misc]
            if not await state_is(GONE, "removed"):
                break
        life.later(2 * HOUR)
        while len(life.mails_to(f"dmca@{GONE}")) < 2:
            life.later(10 * MINUTE)
            await asyncio.sleep(0.5)
        assert "earlier" in life.mails_to(f"dmca@{GONE}")[1].get_content().lower()

        # then what was frozen stayed frozen, nothing private was mailed, and the books hold five debits and one refund
        assert await state_is(COUNTER, "counter_noticed")
        assert len(life.mails_to(f"dmca@{COUNTER}")) == len(life.mails_to(f"dmca@{REFUSE}")) == 1

        async def refunded() -> bool:
            return bool((await client.transactions())["total"] == 2)

        await life.until(refunded)
        lines = {line["type"]: line for line in (await client.transactions())["transactions"]}
        assert (lines["debit"]["amount"], lines["refund"]["amount"]) == (5, 1)
        assert lines["refund"]["description"] == f"Refund for failed batch {told['batchId']}"
        assert await life.stack.balance(organization) == CREDITS - 4

        # and the timeline of the first URL tells all of it
        _, page = await client.call("GET", f"/takedowns?creator_id={creator}&host={GONE}")
        _, shown = await client.call("GET", f"/takedowns/{page['takedowns'][0]['id']}")
        told_states = [entry["state"] for entry in reversed(shown["timeline"])]
        for state in ("resolving", "ready", "noticed", "acknowledged", "removed"):
            assert state in told_states, told_states
