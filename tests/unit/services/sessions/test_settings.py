"""The settings of sessions."""

import pytest

from libs.common.settings import SettingsError, load
from services.sessions.domain.pace import Rate
from services.sessions.gateways.providers.dialect import Dialect, member, parse_dialect
from services.sessions.settings import SessionsSettings

ENV = {
    "FANGATE_POSTGRES_DSN": "postgres://x",
    "FANGATE_AMQP_URL": "amqp://x",
    "FANGATE_VAULT_KEYS": f"k1:{'11' * 32}",
    "FANGATE_FORM_KEYS": f"f1:{'22' * 32}",
}


def settings(**more: str) -> SessionsSettings:
    return load(SessionsSettings, service="sessions", environ=ENV | more)


def test_a_provider_without_a_url_is_not_there() -> None:
    assert settings().platforms() == {}
    assert list(settings(FANGATE_SANDBOX_URL="http://127.0.0.1:8090").platforms()) == ["sandbox"]


def test_every_path_and_header_of_a_platform_can_be_set() -> None:
    given = '{"login":"/api/login","headers":{"X-App":"1"},"prefix":"/v2","account_field":"me.id"}'
    found = settings(FANGATE_SESSION_PLATFORM_URL="https://p.test", FANGATE_SESSION_PLATFORM_PATHS=given).platforms()
    assert found["session"] == (
        "https://p.test",
        Dialect(login="/api/login", headers={"X-App": "1"}, prefix="/v2", account_field="me.id"),
    )


@pytest.mark.parametrize("text", ["{", '{"logn":"/x"}', '{"login":1}', "[]"])
def test_a_malformed_dialect_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="FANGATE_SESSION_PLATFORM_PATHS"):
        parse_dialect(text)


def test_a_malformed_url_or_ring_stops_the_start_and_shows_no_key() -> None:
    with pytest.raises(SettingsError, match="sandbox"):
        settings(FANGATE_SANDBOX_URL="127.0.0.1:8090").platforms()
    with pytest.raises(SettingsError) as refused:
        settings(FANGATE_VAULT_KEYS="11" * 32).vault()
    assert "1111" not in str(refused.value)


def test_members_are_found_by_their_path() -> None:
    assert member({"a": {"b": 1}}, "a.b") == 1
    assert member({"a": [1]}, "a.b") is None
    assert member(None, "a") is None


def test_each_process_keeps_its_share_of_the_pace() -> None:
    assert settings().paces() == {
        "fanvue": Rate(300, 30),
        "session": Rate(300, 30),
        "sandbox": Rate(0, 30),
    }
    assert settings(FANGATE_REPLICAS_SESSIONS="4").paces()["session"] == Rate(75, 7)
    with pytest.raises(SettingsError, match="burst"):
        settings(FANGATE_MODEL_CALLS_BURST="0").paces()


def test_a_malformed_form_key_stops_the_start_and_shows_no_key() -> None:
    with pytest.raises(SettingsError) as refused:
        settings(FANGATE_FORM_KEYS="22" * 32).forms()
    assert "2222" not in str(refused.value)
