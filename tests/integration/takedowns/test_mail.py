"""Mail out to a real server, and mail in from a real Maildir and over real IMAP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local import ports
from services.takedowns.domain.notice_errors import MailboxAway, MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.notice_mail import Envelope
from services.takedowns.gateways.mail_folder import MailFolder
from services.takedowns.gateways.mailbox import open_mailbox
from services.takedowns.gateways.smtp import SmtpRelay
from tests.support.imap import ImapServer
from tests.support.raw_server import talking
from tests.support.smtp_sink import a_sink

MAIL = Envelope(
    sender="b@bounce.example", recipient="dmca@leaks.example", raw=b"Subject: x\r\n\r\n.dots\r\n..and\r\n.\r\nmore\r\n"
)


@contextlib.asynccontextmanager
async def a_relay(url: str) -> AsyncIterator[SmtpRelay]:
    relay = SmtpRelay.parse(url, timeout_s=2.0)
    yield relay
    await relay.close()


async def test_mails_are_taken_byte_for_byte_over_one_connection() -> None:
    async with a_sink() as sink, a_relay(sink.url) as relay:
        said = [await relay.send(MAIL) for _ in range(3)]
        assert sink.mails == [(MAIL.sender, MAIL.recipient, MAIL.raw)] * 3
        assert sink.connections == 1
        assert "queued" in said[0]


async def test_many_at_once_are_sent_one_after_the_other() -> None:
    async with a_sink() as sink, a_relay(sink.url) as relay:
        await asyncio.gather(*(relay.send(MAIL) for _ in range(50)))
        assert len(sink.mails) == 50
        assert sink.connections == 1


@pytest.mark.parametrize("stage", ["rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "kind", "code"), [("452 try later", MailDeferred, 452), ("550 no such user", MailRefused, 550)]
)
async def test_what_the_server_says_is_certain(stage: str, answer: str, kind: type[MailDeferred], code: int) -> None:
    async with a_sink() as sink, a_relay(sink.url) as relay:
        setattr(sink, stage, answer)
        with pytest.raises(kind) as told:
            await relay.send(MAIL)
        assert told.value.code == code
        setattr(sink, stage, "")
        await relay.send(MAIL)
        assert len(sink.mails) == 1, "the connection is usable afterwards"


async def test_a_connection_lost_after_the_text_is_uncertain() -> None:
    async with a_sink() as sink, a_relay(sink.url) as relay:
        sink.data = "drop"
        with pytest.raises(MailUncertain):
            await relay.send(MAIL)
        sink.data = ""
        await relay.send(MAIL)
        assert len(sink.mails) == 1


async def test_a_connection_lost_before_the_text_is_certain_and_nothing_was_sent() -> None:
    async with a_sink() as sink, a_relay(sink.url) as relay:
        sink.rcpt = "drop"
        with pytest.raises(MailDeferred):
            await relay.send(MAIL)
        assert sink.mails == []


async def test_a_server_that_is_away_defers_and_one_that_came_back_is_used() -> None:
    port = ports.pick(1)[0]
    async with a_relay(f"smtp://127.0.0.1:{port}") as relay:
        with pytest.raises(MailDeferred):
            await relay.send(MAIL)
        async with a_sink(port) as sink:
            await relay.send(MAIL)
        async with a_sink(port) as sink:
            await relay.send(MAIL)
            assert len(sink.mails) == 1, "a connection that died while idle is made again"


async def test_a_server_that_never_answers_the_text_is_uncertain() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go\r\n")
            elif line.strip() and line.split()[0].upper() in {b"EHLO", b"MAIL", b"RCPT", b"RSET"}:
                writer.write(b"250 ok\r\n")

    async with talking(silent) as port:
        relay = SmtpRelay.parse(f"smtp://127.0.0.1:{port}", timeout_s=0.5)
        with pytest.raises(MailUncertain):
            await relay.send(MAIL)
        await relay.close()


@pytest.mark.parametrize(
    "url", ["", "http://x", "smtp://", "smtp://user:secret-word@relay.example", "smtp://x:notaport"]
)
def test_a_wrong_url_is_refused_and_shows_nothing(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as wrong:
        SmtpRelay.parse(url)
    assert "secret-word" not in str(wrong.value)


async def test_dry_mails_are_files(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "mail")
    await folder.keep("TD-1", MAIL)
    await folder.keep("TD-1", MAIL)
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["TD-1.eml"]
    assert (tmp_path / "mail" / "TD-1.eml").read_bytes() == MAIL.raw
    assert (tmp_path / "mail" / "TD-1.eml").stat().st_mode & 0o077 == 0


async def test_a_maildir_is_read_oldest_first_and_each_mail_until_it_is_done(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    for number in range(3):
        (tmp_path / "new" / f"170000000{number}.M1.host").write_bytes(b"Subject: %d\n\nx" % number)
    mailbox = open_mailbox(f"maildir:{tmp_path}")
    first = await mailbox.fetch(2)
    assert [mail.raw[:10] for mail in first] == [b"Subject: 0", b"Subject: 1"]
    assert await mailbox.fetch(2) == first
    await mailbox.done(first[0])
    await mailbox.done(first[0])
    assert [mail.raw[9:10] for mail in await mailbox.fetch(9)] == [b"1", b"2"]
    assert [path.name for path in (tmp_path / "cur").iterdir()] == ["1700000000.M1.host:2,S"]


async def test_a_mailbox_that_is_away_says_so_without_its_password(tmp_path: Path) -> None:
    for url in (f"maildir:{tmp_path}/none", f"imap://me:secret-word@127.0.0.1:{ports.pick(1)[0]}/INBOX"):
        with pytest.raises(MailboxAway) as away:
            await open_mailbox(url).fetch(1)
        assert "secret-word" not in f"{away.value!r} {away.value} {away.value.__context__ and ''}"


@pytest.mark.parametrize(
    "url", ["", "maildir:relative", "imap://me:pw@mail.example/INBOX", "imaps://mail.example", "pop3://x"]
)
def test_a_wrong_mailbox_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|only"):
        open_mailbox(url)


async def test_imap_gives_what_is_unseen_until_it_is_done() -> None:
    imap = ImapServer({7: b"Subject: a\r\n\r\nx", 12: b"Subject: b\r\n\r\n" + b"y" * (2 << 20), 13: b"z"})
    async with talking(imap.talk) as port:
        mailbox = open_mailbox(f"imap://me:right%40@127.0.0.1:{port}/Abuse%20Mail")
        mails = await mailbox.fetch(2)
        assert [(mail.uid, mail.raw[:10], len(mail.raw)) for mail in mails] == [
            ("7", b"Subject: a", 15),
            ("12", b"Subject: b", 1 << 20),
        ]
        assert imap.seen == set(), "looking is not reading"
        await mailbox.done(mails[0])
        assert [mail.uid for mail in await mailbox.fetch(9)] == ["12", "13"]
        assert 'SELECT "Abuse Mail"' in imap.commands
        with pytest.raises(MailboxAway) as refused:
            await open_mailbox(f"imap://me:wrong-secret@127.0.0.1:{port}/INBOX").fetch(1)
        assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("refused", ["SEARCH", "STORE"])
async def test_a_folder_that_imap_may_not_search_or_mark_is_away(refused: str) -> None:
    imap = ImapServer({7: b"x"}, refused=refused)
    async with talking(imap.talk) as port:
        mailbox = open_mailbox(f"imap://me:right@127.0.0.1:{port}/INBOX")
        with pytest.raises(MailboxAway):
            for mail in await mailbox.fetch(1):
                await mailbox.done(mail)
