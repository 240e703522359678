"""When organizations are told of a creator, and what becomes of a mail that is not taken."""

from collections import Counter
from datetime import timedelta

import pytest

from libs.common.ids import uuid7
from services.takedowns.domain.creator_mail import Addressee, Happening
from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_mail import MailDomains
from services.takedowns.domain.sending import Sending
from services.takedowns.usecases.tell_creators import RETRIES, TellCreators
from tests.support.clock import FakeClock
from tests.support.takedown_notices import AGENT, TOKEN_KEY
from tests.support.takedowns_outside import MemoryCreatorMails, MemoryFolder, MemoryRelay
from tests.support.takedowns_world import ORG

LUNA = Addressee(creator_id=1, org_id=ORG, stage_name="Luna", address="luna@example.com")


class Desk:
    def __init__(self, *, is_dry: bool = False) -> None:
        self.clock, self.mails, self.relay = FakeClock(), MemoryCreatorMails(LUNA), MemoryRelay()
        self.folder, self.counted = MemoryFolder(), Counter[str]()
        domains = MailDomains(reply="reply.example", bounce="bounce.example")
        sending = Sending(agent=AGENT, domains=domains, tokens=MailTokens.parse(TOKEN_KEY), is_dry=is_dry)
        self.tell = TellCreators(self.mails, self.relay, self.folder, sending, self.clock, self.count)

    def count(self, outcome: str) -> None:
        self.counted[outcome] += 1

    def happens(self, *, is_sandbox: bool = False) -> None:
        happening = Happening(kind="form", host="leaks.example", notice_id=uuid7(), is_sandbox=is_sandbox)
        self.mails.happenings.append((1, self.clock.now(), happening))

    async def later(self, **by: float) -> None:
        self.clock.advance(**by)
        await self.tell()


async def test_what_five_minutes_brought_is_one_mail_and_one_an_hour() -> None:
    desk = Desk()
    desk.happens()
    await desk.later(minutes=4)
    desk.happens()
    assert desk.relay.mails == []
    await desk.later(minutes=1)
    (mail,) = desk.relay.mails
    assert mail.recipient == "luna@example.com"
    desk.happens()
    await desk.later(minutes=30)
    assert len(desk.relay.mails) == 1
    await desk.later(minutes=31)
    assert len(desk.relay.mails) == 2
    assert desk.counted == {"sent": 2}


async def test_a_sandboxs_happenings_are_told_to_nobody() -> None:
    desk = Desk()
    desk.happens(is_sandbox=True)
    await desk.later(minutes=6)
    assert (desk.relay.mails, desk.mails.happenings) == ([], [])


async def test_mode_dry_run_writes_a_file_and_sends_nothing() -> None:
    desk = Desk(is_dry=True)
    desk.happens()
    await desk.later(minutes=6)
    await desk.later(hours=2)
    assert (desk.relay.mails, len(desk.folder.kept), desk.counted) == ([], 1, {"rendered": 1})


@pytest.mark.parametrize(
    ("error", "status"), [(MailRefused(550, "no"), "refused"), (MailUncertain("lost"), "uncertain")]
)
async def test_what_is_refused_or_may_have_left_is_never_sent_again(error: Exception, status: str) -> None:
    desk = Desk()
    desk.happens()
    desk.relay.refusing = [error]
    await desk.later(minutes=6)
    await desk.later(days=3)
    assert ([mail.status for mail in desk.mails.mails], desk.relay.mails) == ([status], [])


async def test_what_is_deferred_is_tried_later_and_later_and_then_given_up() -> None:
    desk = Desk()
    desk.happens()
    desk.relay.refusing = [MailDeferred(450, "later") for _ in range(len(RETRIES) + 1)]
    await desk.later(minutes=6)
    for wait in RETRIES:
        assert desk.mails.mails[0].status == "deferred"
        desk.clock.advance(seconds=(wait - timedelta(seconds=1)).total_seconds())
        await desk.tell()
        await desk.later(seconds=1)
    assert (desk.mails.mails[0].status, desk.mails.mails[0].tries, desk.relay.refusing) == ("refused", 5, [])
