"""Nothing is mailed by accident: what mode `send` needs, and what no setting shows."""

import pytest

from libs.common.settings import SettingsError, load
from services.takedowns.settings import TakedownsSettings

NEEDED = {"FANGATE_POSTGRES_DSN": "postgres://x", "FANGATE_AMQP_URL": "amqp://x"}
SENDING = NEEDED | {
    "FANGATE_NOTICE_MODE": "send", "FANGATE_AGENT_NAME": "Agent", "FANGATE_AGENT_ADDRESS": "1 Street",
    "FANGATE_AGENT_PHONE": "+1", "FANGATE_AGENT_EMAIL": "a@rights.example", "FANGATE_NOTICE_LEGAL_REVIEWED_BY": "A. Lawyer",
    "FANGATE_SMTP_URL": "smtps://u:secret-word@relay.example", "FANGATE_MAIL_REPLY_DOMAIN": "reply.example",
    "FANGATE_MAIL_TOKEN_KEYS": "ab" * 32,
}  # fmt: skip


def settings(environ: dict[str, str]) -> TakedownsSettings:
    return load(TakedownsSettings, service="takedowns", environ=environ)


def test_nothing_is_sent_unless_that_is_asked_for() -> None:
    sending = settings(NEEDED).sending()
    assert sending.is_dry
    assert sending.agent.name == "[FANGATE_AGENT_NAME]", "nobody takes such a notice for ready"
    assert settings(NEEDED).mailbox() is None


def test_mode_send_with_all_it_needs() -> None:
    sending = settings(SENDING).sending()
    assert not sending.is_dry
    assert (sending.agent.email, sending.domains.bounce) == ("a@rights.example", "reply.example")


@pytest.mark.parametrize("name", sorted(set(SENDING) - set(NEEDED) - {"FANGATE_NOTICE_MODE"}))
@pytest.mark.parametrize("value", [None, " "])
def test_mode_send_does_not_start_without(name: str, value: str | None) -> None:
    environ = {key: text for key, text in SENDING.items() if key != name} | ({name: value} if value else {})
    with pytest.raises(SettingsError, match=name):
        settings(environ).sending()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FANGATE_NOTICE_MODE", "live"), ("FANGATE_VERIFY_MODE", "maybe"), ("FANGATE_SMTP_URL", "smtp://u:secret-word@relay.example"),
        ("FANGATE_MAIL_TOKEN_KEYS", "secret-word"), ("FANGATE_MAILBOX_URL", "pop3://u:secret-word@mail.example"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        found = settings(SENDING | {name: value})
        found.sending()
        found.relay()
        found.mailbox()
    assert "secret-word" not in str(wrong.value)
    assert "secret-word" not in repr(settings(SENDING))


@pytest.mark.parametrize("missing", ["FANGATE_AGENT_CITY", "FANGATE_CLOUDFLARE_ACCOUNT_ID"])
async def test_an_abuse_desk_does_not_start_with_half_an_address_and_shows_no_token(missing: str) -> None:
    whole = SENDING | {
        "FANGATE_CLOUDFLARE_API_TOKEN": "secret-word", "FANGATE_CLOUDFLARE_ACCOUNT_ID": "0a", "FANGATE_AGENT_CITY": "Dublin",
        "FANGATE_AGENT_STATE": "Leinster", "FANGATE_AGENT_COUNTRY": "IE",
    }  # fmt: skip
    assert list(await settings(whole).desks()) == ["cloudflare"]
    assert await settings(SENDING).desks() == {}
    with pytest.raises(SettingsError) as wrong:
        await settings(whole | {missing: ""}).desks()
    assert "secret-word" not in str(wrong.value) + repr(settings(whole))
