"""The pepper ring as a setting."""

import pytest

from libs.common.settings import SettingsError, load
from services.auth.settings import AuthSettings

ENVIRON = {"FANGATE_POSTGRES_DSN": "postgresql://x", "FANGATE_AMQP_URL_AUTH": "amqp://x"}


def test_the_ring_is_read_and_masked() -> None:
    pepper = "ab" * 32
    settings = load(AuthSettings, service="auth", environ=ENVIRON | {"FANGATE_KEY_PEPPERS": f"one:{pepper}"})
    assert settings.pepper_ring().active == "one"
    assert pepper not in repr(settings)


def test_a_malformed_ring_stops_the_start_by_name_and_shows_nothing() -> None:
    settings = load(AuthSettings, service="auth", environ=ENVIRON | {"FANGATE_KEY_PEPPERS": "one:abcdef"})
    with pytest.raises(SettingsError, match="FANGATE_KEY_PEPPERS") as caught:
        settings.pepper_ring()
    assert "abcdef" not in str(caught.value)
