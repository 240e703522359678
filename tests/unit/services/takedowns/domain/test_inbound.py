"""What abuse desks and mail servers answer, and what nobody should take for an answer."""

import time

import pytest

from services.takedowns.domain.inbound import Bounce, Kind, judge, own_text, recipients
from tests.support.mails import a_bounce, a_mail, read


@pytest.mark.parametrize(
    ("status", "action", "is_final", "is_hard"),
    [
        ("5.1.1", "failed", True, True),
        ("5.2.2", "failed", True, False),
        ("5.7.1", "failed", True, False),
        ("4.4.1", "delayed", False, False),
        ("4.4.7", "failed", True, False),
    ],
)
def test_delivery_reports(status: str, action: str, is_final: bool, is_hard: bool) -> None:
    judged = judge(a_bounce(to="b@bounce.example", status=status, action=action))
    assert judged.kind is Kind.BOUNCE
    assert judged.bounce == Bounce(is_final=is_final, is_hard=is_hard, status=status, recipient="dmca@leaks.example")


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_of_success_is_no_bounce(action: str) -> None:
    assert judge(a_bounce(to="b@bounce.example", status="2.0.0", action=action)).bounce is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Thank you for your report. Your ticket number is ABC-12345.", Kind.ACK),
        ("This is an automated response. We have received your complaint.", Kind.ACK),
        ("Wir bestätigen den Eingang Ihrer Nachricht.", Kind.ACK),
        ("Hello, the content has been removed from our servers. Regards", Kind.REMOVED),
        ("We have disabled access to the reported files.", Kind.REMOVED),
        ("Die Dateien wurden soeben gelöscht.", Kind.REMOVED),
        ("Les contenus ont été supprimés.", Kind.REMOVED),
        ("We do not accept notices by e-mail. Please use https://leaks.example/dmca-form", Kind.USE_FORM),
        ("Please submit your request through our form: https://leaks.example/abuse/report.", Kind.USE_FORM),
        ("We are unable to process your request as the content is not hosted by us.", Kind.REFUSED),
        ("We are not the hosting provider. We cannot remove content from other servers.", Kind.REFUSED),
        ("Please provide additional information: proof of ownership.", Kind.NEED_INFO),
        ("Your notice lacks a signature. Please send the missing details.", Kind.NEED_INFO),
        (
            "I hereby submit a counter notification under 17 U.S.C. 512(g)(3) and consent to the jurisdiction of",
            Kind.COUNTER_NOTICE,
        ),
        ("Our user has sent a counter-notice. The content has been removed meanwhile.", Kind.COUNTER_NOTICE),
        ("The files will be removed if you send us a court order.", Kind.OTHER),
        ("The material has not been removed and never will be.", Kind.OTHER),
        ("lol", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_answers(text: str, kind: Kind) -> None:
    assert judge(a_mail(text, subject="Re: your mail")).kind is kind


def test_a_form_without_an_address_is_for_a_person() -> None:
    assert judge(a_mail("Please only use our web form.", subject="x")).kind is Kind.OTHER


def test_the_forms_address_and_the_ticket_are_read() -> None:
    judged = judge(a_mail("Please use the form at https://leaks.example/dmca?x=1. Case: #LE-99123", subject="Re"))
    assert (judged.kind, judged.form_url, judged.ticket) == (
        Kind.USE_FORM,
        "https://leaks.example/dmca?x=1",
        "LE-99123",
    )
    assert judge(a_mail("Ticket number: 20261120-7", subject="[TD-0123456789AB]")).ticket == "20261120-7"
    assert judge(a_mail("We received your message", subject="Re: [TD-0123456789AB]")).ticket is None, (
        "our own number is no ticket"
    )


def test_what_is_quoted_from_us_is_not_their_answer() -> None:
    quoted = "\n> Please remove this material, it has been removed\n"
    assert judge(a_mail(f"ok{quoted}", subject="Re")).kind is Kind.OTHER
    below = "fine\n\nOn Fri, 20 Nov 2026 at 12:00, Rights Desk <r@x> wrote:\nThe content has been removed"
    assert judge(a_mail(below, subject="Re")).kind is Kind.OTHER


def test_html_is_read_as_text() -> None:
    mail = a_mail("<html><style>p{}</style><p>The content has <b>been removed</b>.</p></html>", subtype="html")
    assert judge(mail).kind is Kind.REMOVED
    assert "<b>" not in own_text(mail)


def test_an_automatic_answer_nobody_understands_is_an_acknowledgement() -> None:
    assert judge(a_mail("xyzzy", subject="x", Auto_Submitted="auto-replied")).kind is Kind.ACK


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00\xff\xfe", b"Content-Type: multipart/report\n\n", b"Content-Type: multipart/report; boundary=B\n\n--B\nContent-Type: message/delivery-status\n\n\n--B--",
        b"Content-Type: text/plain; charset=no-such\n\n\xe9", b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!",
        b"Content-Type: multipart/mixed; boundary=B\n\n--B\n", b"Subject: =?utf-8?b?////?=\n\nx", b"To: <<<>>>,,;\n\nx", b"Content-Type: message/delivery-status\n\nx",
    ],
)  # fmt: skip
def test_a_broken_mail_is_for_a_person_and_breaks_nothing(raw: bytes) -> None:
    mail = read(raw)
    assert judge(mail).kind is Kind.OTHER
    list(recipients(mail))


@pytest.mark.alone  # it measures time
@pytest.mark.parametrize(
    "piece", ["please use ", "we are unable to ", "has been ", "<", "ticket no ", "https://form ", "provide more "]
)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    mail = a_mail(piece * (100_000 // len(piece)), subtype="html" if piece == "<" else "plain")
    started = time.perf_counter()
    judge(mail)
    assert time.perf_counter() - started < 2.0


def test_who_a_mail_was_sent_to() -> None:
    mail = a_mail("x", to="Rights <R+1@reply.example>, other@x.example", Delivered_To="b+2@bounce.example")
    assert set(recipients(mail)) == {"R+1@reply.example", "other@x.example", "b+2@bounce.example"}
