"""One suite each for mailboxes, relays and folders: in memory, and the real thing on sockets and files."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.takedowns.domain.notice_errors import MailboxAway, MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.domain.notice_ports import DryFolder, Mailbox, Relay
from services.takedowns.gateways.mail_folder import MailFolder
from services.takedowns.gateways.mailbox import open_mailbox
from services.takedowns.gateways.smtp import SmtpRelay
from tests.support.imap import ImapServer
from tests.support.raw_server import talking
from tests.support.smtp_sink import a_sink
from tests.support.takedowns_outside import MemoryFolder, MemoryMailbox, MemoryRelay

MAIL = Envelope(sender="b@bounce.example", recipient="dmca@leaks.example", raw=b"Subject: a\r\n\r\nx\r\n")


@dataclass
class Box:
    mailbox: Mailbox
    receive: Callable[[bytes], None]
    go_away: Callable[[], None]


@pytest.fixture
def memory() -> Box:
    mailbox = MemoryMailbox()

    def leave() -> None:
        mailbox.is_away = True

    return Box(mailbox, mailbox.receive, leave)


@pytest.fixture
def maildir(tmp_path: Path) -> Box:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    count = iter(range(1, 100))

    def receive(raw: bytes) -> None:
        (tmp_path / "new" / f"{next(count):04d}.M1.host").write_bytes(raw)

    def leave() -> None:
        (tmp_path / "new").rename(tmp_path / "elsewhere")

    return Box(open_mailbox(f"maildir:{tmp_path}"), receive, leave)


@pytest.fixture
async def imap() -> AsyncIterator[Box]:
    server = ImapServer({})

    def receive(raw: bytes) -> None:
        server.mails[len(server.mails) + 9] = raw  # 10 is newer than 9, and not by its letters

    def leave() -> None:
        server.is_away = True

    async with talking(server.talk) as port:
        yield Box(open_mailbox(f"imap://me:right@127.0.0.1:{port}/INBOX"), receive, leave)


@pytest.fixture(params=["memory", "maildir", "imap"])
def box(request: pytest.FixtureRequest) -> Box:
    found: Box = request.getfixturevalue(request.param)
    return found


async def test_mails_come_oldest_first_and_again_until_they_are_done(box: Box) -> None:
    assert list(await box.mailbox.fetch(10)) == []
    for raw in (b"a", b"b", b"c"):
        box.receive(raw)
    for _ in range(2):
        assert [mail.raw for mail in await box.mailbox.fetch(2)] == [b"a", b"b"]
    first = (await box.mailbox.fetch(1))[0]
    await box.mailbox.done(first)
    await box.mailbox.done(first)
    assert [mail.raw for mail in await box.mailbox.fetch(10)] == [b"b", b"c"]


async def test_a_mailbox_that_is_away_says_so(box: Box) -> None:
    box.receive(b"a")
    (mail,) = await box.mailbox.fetch(10)
    box.go_away()
    with pytest.raises(MailboxAway):
        await box.mailbox.fetch(10)
    with pytest.raises(MailboxAway):
        await box.mailbox.done(mail)


@dataclass
class Post:
    relay: Relay
    refuse: Callable[[str], None]
    taken: Callable[[], list[tuple[str, str]]]


@pytest.fixture(params=["memory", "smtp"])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    if request.param == "memory":
        memory = MemoryRelay()
        errors = {"450": MailDeferred(450, "later"), "550": MailRefused(550, "no"), "drop": MailUncertain("drop")}
        yield Post(
            memory, lambda how: memory.refusing.append(errors[how]), lambda: [(m.sender, m.recipient) for m in memory.mails]
        )  # fmt: skip
        return
    async with a_sink() as sink:
        smtp = SmtpRelay.parse(sink.url, timeout_s=5.0)

        def refuse(how: str) -> None:
            sink.data = "drop" if how == "drop" else f"{how} no"

        yield Post(smtp, refuse, lambda: [(sender, recipient) for sender, recipient, _ in sink.mails])
        await smtp.close()


async def test_a_mail_is_taken_with_a_word(post: Post) -> None:
    assert await post.relay.send(MAIL)
    assert post.taken() == [(MAIL.sender, MAIL.recipient)]


@pytest.mark.parametrize(("how", "error"), [("450", MailDeferred), ("550", MailRefused), ("drop", MailUncertain)])
async def test_a_mail_that_is_not_taken_is_one_of_three_cases_and_not_tried_again(
    post: Post, how: str, error: type[Exception]
) -> None:
    post.refuse(how)
    with pytest.raises(error):
        await post.relay.send(MAIL)
    assert post.taken() == []


@pytest.mark.parametrize("kind", ["memory", "files"])
async def test_the_same_name_again_replaces_what_was_kept(kind: str, tmp_path: Path) -> None:
    memory = MemoryFolder()
    folder: DryFolder = memory if kind == "memory" else MailFolder(tmp_path)
    other = Envelope(sender="a@a", recipient="b@b", raw=b"other")
    for name, envelope in (("one", MAIL), ("one", other), ("two", MAIL)):
        await folder.keep(name, envelope)
    assert (memory.kept if kind == "memory" else files_in(tmp_path)) == {"one": b"other", "two": MAIL.raw}


def files_in(folder: Path) -> dict[str, bytes]:
    """Whole mails; a part that was left shows as one more."""
    return {path.stem: path.read_bytes() for path in folder.iterdir()}
