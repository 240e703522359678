"""The rings of auth as settings, and where webhooks may go."""

import pytest

from libs.common.settings import SettingsError, load
from services.auth.settings import AuthSettings

PEPPER, KEY = "ab" * 32, "cd" * 32
ENVIRON = {
    "FANGATE_POSTGRES_DSN": "postgresql://x", "FANGATE_AMQP_URL_AUTH": "amqp://x",
    "FANGATE_KEY_PEPPERS": f"one:{PEPPER}", "FANGATE_WEBHOOK_KEYS": f"w1:{KEY}",
    "FANGATE_PASSWORD_KEYS": f"one:{'33' * 32}",
}  # fmt: skip


def settings_with(**changed: str) -> AuthSettings:
    return load(AuthSettings, service="auth", environ=ENVIRON | changed)


def test_the_rings_are_read_and_masked() -> None:
    settings = settings_with()
    assert settings.pepper_ring().active == "one"
    assert settings.webhook_vault().active == "w1"
    assert PEPPER not in repr(settings)
    assert KEY not in repr(settings)


def test_a_malformed_ring_stops_the_start_by_name_and_shows_nothing() -> None:
    with pytest.raises(SettingsError, match="FANGATE_KEY_PEPPERS") as caught:
        settings_with(FANGATE_KEY_PEPPERS="one:abcdef").pepper_ring()
    assert "abcdef" not in str(caught.value)
    with pytest.raises(SettingsError, match="FANGATE_WEBHOOK_KEYS") as caught:
        settings_with(FANGATE_WEBHOOK_KEYS="one:abcdef").webhook_vault()
    assert "abcdef" not in str(caught.value)


def test_receivers_on_this_machine_are_for_development_only() -> None:
    given = {"FANGATE_WEBHOOK_LOCAL_RECEIVERS": "127.0.0.1:9000, [::1]:9001"}
    assert settings_with(FANGATE_ENV="dev", **given).local_receivers() == [("127.0.0.1", 9000), ("::1", 9001)]
    assert settings_with().local_receivers() == []
    with pytest.raises(SettingsError, match="not in production"):
        settings_with(**given).local_receivers()
    for malformed in ("localhost:9000", "127.0.0.1", "127.0.0.1:x"):
        with pytest.raises(SettingsError, match="expected address:port"):
            settings_with(FANGATE_ENV="test", FANGATE_WEBHOOK_LOCAL_RECEIVERS=malformed).local_receivers()


def test_a_malformed_password_key_stops_the_start_and_shows_no_key() -> None:
    with pytest.raises(SettingsError, match="FANGATE_PASSWORD_KEYS") as caught:
        settings_with(FANGATE_PASSWORD_KEYS="33" * 32).sealed_passwords()
    assert "3333" not in str(caught.value)


@pytest.mark.parametrize("servers", ["name.example", "127.0.0.1:port"])
def test_a_malformed_name_server_stops_the_start(servers: str) -> None:
    with pytest.raises(SettingsError, match="FANGATE_DNS_SERVERS"):
        settings_with(FANGATE_DNS_SERVERS=servers).resolver()
