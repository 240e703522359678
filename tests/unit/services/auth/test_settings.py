"""The pepper ring as a setting."""

import pytest

from libs.common.settings import SettingsError, load
from services.auth.settings import AuthSettings

ENVIRON = {
    "FANGATE_POSTGRES_DSN": "postgresql://x",
    "FANGATE_AMQP_URL_AUTH": "amqp://x",
    "FANGATE_PASSWORD_KEYS": f"one:{'33' * 32}",
}
PEPPERS = {"FANGATE_KEY_PEPPERS": f"one:{'ab' * 32}"}


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


def test_a_malformed_password_key_stops_the_start_and_shows_no_key() -> None:
    with pytest.raises(SettingsError, match="FANGATE_PASSWORD_KEYS") as caught:
        load(
            AuthSettings, service="auth", environ=ENVIRON | PEPPERS | {"FANGATE_PASSWORD_KEYS": "33" * 32}
        ).sealed_passwords()
    assert "3333" not in str(caught.value)


@pytest.mark.parametrize("servers", ["name.example", "127.0.0.1:port"])
def test_a_malformed_name_server_stops_the_start(servers: str) -> None:
    settings = load(AuthSettings, service="auth", environ=ENVIRON | PEPPERS | {"FANGATE_DNS_SERVERS": servers})
    with pytest.raises(SettingsError, match="FANGATE_DNS_SERVERS"):
        settings.resolver()
