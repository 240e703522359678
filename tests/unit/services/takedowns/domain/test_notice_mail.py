"""The mail of a notice: readable, threaded, and closed to what others typed."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice import render
from services.takedowns.domain.notice_mail import Envelope, MailDomains, compose, message_id
from tests.support.mails import read
from tests.support.takedown_notices import AGENT, NOTICE_ID, TOKEN_KEY, WORK, a_draft

TOKENS = MailTokens.parse(TOKEN_KEY)
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MSG_ID = message_id(NOTICE_ID, 1, "reply.example")


def a_mail(**changes: Any) -> Envelope:
    draft = changes.pop("draft", a_draft())
    options: dict[str, Any] = {
        "notice_id": NOTICE_ID, "msg_id": MSG_ID, "to": "dmca@leaks.example", "agent": AGENT, "tokens": TOKENS,
        "domains": MailDomains(reply="reply.example", bounce="bounce.example"), "at": AT, **changes,
    }  # fmt: skip
    return compose(render(draft), **options)


def test_headers() -> None:
    envelope = a_mail()
    mail = read(envelope.raw)
    assert mail["From"] == "Rights Desk Ltd <agent@rights.example>"
    assert mail["To"] == envelope.recipient == "dmca@leaks.example"
    assert mail["Subject"] == "DMCA notice [TD-0123456789AB] leaks.example (2 URLs)"
    assert mail["Message-ID"] == "<td.018f3c2a7b1e7c3d8a9b0123456789ab.1@reply.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Fri, 20 Nov 2026 12:00:00 +0000"
    assert TOKENS.read(mail["Reply-To"]) == ("r", NOTICE_ID)
    assert TOKENS.read(envelope.sender) == ("b", NOTICE_ID)
    assert (mail["Reply-To"].partition("@")[2], envelope.sender.partition("@")[2]) == (
        "reply.example",
        "bounce.example",
    )
    assert mail["References"] is None
    assert mail.get_content_type() == "text/plain"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_the_body_arrives_as_it_was_written(language: str) -> None:
    urls = ("https://leaks.example/" + "x" * 2_000, "https://leaks.example/=3D=?.", ".https"[1:] + "://leaks.example/.")
    draft = a_draft(language=language, urls=urls)
    raw = a_mail(draft=draft).raw
    assert read(raw).get_content().replace("\r\n", "\n") == render(draft).body
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.isascii()


def test_the_same_notice_is_the_same_mail() -> None:
    assert a_mail() == a_mail()
    report = [{"infringing_url": "https://leaks.example/"}]
    assert a_mail(xarf=report) == a_mail(xarf=report)


def test_a_follow_up_is_in_the_thread_of_the_first() -> None:
    root = message_id(NOTICE_ID, 1, "reply.example")
    mail = read(a_mail(msg_id=message_id(NOTICE_ID, 2, "reply.example"), thread_root=root).raw)
    assert mail["In-Reply-To"] == mail["References"] == root
    assert mail["Message-ID"] != root
    assert read(a_mail(thread_root=MSG_ID).raw)["In-Reply-To"] is None, "the first is no answer to itself"


def test_reports_are_attached() -> None:
    mail = read(a_mail(xarf=[{"a": "é"}, {"b": 1}]).raw)
    assert mail.get_content_type() == "multipart/mixed"
    attached = list(mail.iter_attachments())
    assert [part.get_filename() for part in attached] == ["xarf-1.json", "xarf-2.json"]
    assert json.loads(attached[0].get_content()) == {"a": "é"}


@pytest.mark.parametrize(
    "evil",
    [
        "Eve\r\nBcc: victim@e.com",
        "Eve\nBcc: victim@e.com",
        "Eve\r\n\r\nbody",
        "Eve\u2028Bcc: v@e.com",
        '"; Bcc: x@e.com',
    ],
)
def test_what_others_typed_makes_no_header(evil: str) -> None:
    draft = a_draft(host=evil, work=msgspec.structs.replace(WORK, stage_name=evil))
    mail = read(a_mail(draft=draft, agent=msgspec.structs.replace(AGENT, name=evil)).raw)
    assert mail["Bcc"] is None
    assert set(mail.keys()) == set(read(a_mail().raw).keys())
    assert mail["To"] == "dmca@leaks.example"


@pytest.mark.parametrize("to", ["x@e.com\r\nBcc: v@e.com", "x@e.com, v@e.com", "x", "", "x@e.com>"])
def test_what_is_no_address_gets_no_mail(to: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        a_mail(to=to)
