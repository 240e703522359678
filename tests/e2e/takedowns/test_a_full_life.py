"""The whole life of takedowns in one running system, over real sockets: from a submission to a removal that was proved, and every way
in which it may go wrong. Only the day is the test's: it moves on when everything of the day has happened.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.local.profile import RUN
from tests.e2e.clients.platform import PlatformClient
from tests.support.mails import a_bounce, a_mail
from tests.support.takedowns_life import DAY, HOSTER, HOUR, MINUTE, Life, a_creator, a_life

CREDITS = 100
GONE, BOUNCE, REFUSE, COUNTER, FORM = (f"leaks-{name}.com" for name in ("gone", "bounce", "refuse", "counter", "form"))
pytestmark = [
    pytest.mark.timeout(900),  # a whole system starts, and sixty days go by
    pytest.mark.alone,  # in leaps, between which its timers must get their turns
]


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    async with a_life(RUN / f"stack-{os.getpid()}-life", tmp_path) as started:
        yield started


async def test_a_url_from_its_submission_to_its_proved_removal_and_every_way_that_goes_wrong(life: Life) -> None:
    # given an organization, a site that has its content on five hosts, and an operator who verified whom to write to
    organization = await life.stack.an_organization(credits=CREDITS)
    for host in (GONE, BOUNCE, REFUSE, COUNTER):
        await life.knows(host)
    await life.knows(FORM, form_url=f"https://{FORM}/dmca")
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

        async def all_have_begun() -> bool:
            return "queued" not in {*(await states()).values(), *(await states(poisoned)).values()}

        await life.until(hosts_are_known)
        await life.until(life.has_asked_registries)
        await life.until(all_have_begun)
        life.later(2 * MINUTE)
        for host in (GONE, BOUNCE, REFUSE, COUNTER):
            await life.until(lambda host=host: state_is(host, "ready"))  # type: ignore[misc]
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

        def told_the_hoster() -> list[EmailMessage]:
            """In this world it is the hoster of the demo's URLs too."""
            return [mail for mail in life.mails_to(HOSTER) if BOUNCE in mail["Subject"]]

        await life.until(told_the_hoster)
        (second,) = told_the_hoster()
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
