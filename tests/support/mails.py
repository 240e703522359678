"""Mails that come back, as mail servers and abuse desks write them."""

from email import message_from_bytes, policy
from email.message import EmailMessage


def a_mail(text: str, *, subject: str = "Re: DMCA notice [TD-0123456789AB] leaks.example (2 URLs)", to: str = "r@reply.example",
           subtype: str = "plain", **headers: str) -> EmailMessage:  # fmt: skip
    """An answer. `headers`: `Auto_Submitted="auto-replied"`."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Abuse Desk <abuse@leaks.example>", to, subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text, subtype=subtype)
    return read(bytes(message))


def a_bounce(
    *, to: str, status: str = "5.1.1", action: str = "failed", recipient: str = "dmca@leaks.example"
) -> EmailMessage:
    """A delivery report (RFC 3464), as Postfix writes them."""
    raw = f"""From: MAILER-DAEMON@relay.example (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example
Arrival-Date: Fri, 20 Nov 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.leaks.example
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--B
Content-Description: Undelivered Message
Content-Type: message/rfc822

Subject: DMCA notice [TD-0123456789AB] leaks.example (2 URLs)

Please remove this material.

--B--
"""
    return read(raw.encode())


def read(raw: bytes) -> EmailMessage:
    """As the service parses what it fetched."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message
