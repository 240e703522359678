"""Signatures as the reference library checks them, and what `Retry-After` says."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.auth.gateways.receivers import retry_after_s, signed
from services.auth.usecases.create_webhook import new_secret
from tests.support.auth import NOW
from tests.unit.services.auth.domain.test_webhook import a_sending


def test_every_live_secret_signs_and_no_other() -> None:
    new, old, foreign = new_secret(), new_secret(), new_secret()
    sending = a_sending(secrets=(new, old), body='{"type":"x","emoji":"é"}')
    headers = signed(sending, datetime.now(UTC))
    for secret in (new, old):
        assert Webhook(secret).verify(sending.body, headers) == {"type": "x", "emoji": "é"}
    with pytest.raises(WebhookVerificationError):
        Webhook(foreign).verify(sending.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(sending.body, headers | {"webhook-id": "another"})


def test_a_secret_has_256_bits_and_is_not_shown() -> None:
    assert len(new_secret()) == len("whsec_") + 44
    assert new_secret() != new_secret()
    assert "whsec" not in repr(a_sending())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120), (" 7 ", 7), ("", None), ("soon", None), ("-5", None), ("9" * 30, 999_999_999), ("1.5", None),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90), ("Sun, 01 Mar 2026 11:00:00 GMT", 0), ("Sun, 99 Mar 2026", None),
        ("Sun, 01 Mar 2026 12:01:30", None),
    ],
)  # fmt: skip
def test_retry_after_in_both_its_forms(text: str, expected: int | None) -> None:
    assert retry_after_s({"Retry-After": text}, NOW) == expected
