"""The settings of sessions."""

import pytest

from libs.common.contracts.catalogue import catalogue
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


FANVUE = {
    "FANGATE_FANVUE_CLIENT_ID": "app",
    "FANGATE_FANVUE_CLIENT_SECRET": "a-secret-value",
    "FANGATE_FANVUE_REDIRECT_URL": "https://us.test/connect/fanvue/callback",
}


def test_an_app_is_there_once_it_is_named_and_asks_for_all_that_calls_need() -> None:
    assert settings().fanvue() is None
    app = settings(**FANVUE).fanvue()
    assert app is not None
    assert (app.auth_url, app.api_url, app.version) == (
        "https://auth.fanvue.com",
        "https://api.fanvue.com",
        "2025-06-26",
    )
    needed = {scope for route in catalogue().values() if route.fanvue_upstream for scope in route.scopes}
    assert set(app.scopes) == needed | {"openid", "offline_access", "offline"}
    narrow = settings(**FANVUE, FANGATE_FANVUE_SCOPES="read:chat offline").fanvue()
    assert narrow is not None
    assert narrow.scopes == ("openid", "offline_access", "offline", "read:chat", "read:self")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_SECRET", ""), ("REDIRECT_URL", ""), ("REDIRECT_URL", "https://us.test/elsewhere"),
        ("REDIRECT_URL", "http://us.test/connect/fanvue/callback"), ("AUTH_URL", "http://auth.test"), ("API_URL", "ftp://api.test"),
        ("API_URL", "https://api.test?x=1"), ("API_PREFIX", "v1"), ("API_PREFIX", "/v1/\r\n"), ("API_VERSION", "latest"),
        ("SCOPES", "read:everything"),
    ],
)  # fmt: skip
def test_an_app_that_cannot_work_stops_the_start_and_shows_no_secret(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(**FANVUE | {f"FANGATE_FANVUE_{name}": value}).fanvue()
    assert f"FANGATE_FANVUE_{name}" in str(refused.value)
    assert "a-secret-value" not in str(refused.value)


def test_plain_http_is_for_development_only() -> None:
    local = FANVUE | {"FANGATE_FANVUE_AUTH_URL": "http://127.0.0.1:8090", "FANGATE_ENV": "dev"}
    assert settings(**local).fanvue() is not None
