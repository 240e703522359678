"""Settings: precedence, files, refusals that name the variable and never show a value."""

from pathlib import Path

import msgspec
import pytest

from libs.common.settings import KNOWN, SERVICES, CommonSettings, Secret, SettingsError, load


class ExampleSettings(msgspec.Struct, frozen=True, kw_only=True):
    postgres_dsn: Secret
    port: int = 8080
    lease_finalise: bool = True
    drain_seconds: float = 25.0


DSN = {"FANGATE_POSTGRES_DSN": "postgresql://u:hunter2@h/db"}


def example(environ: dict[str, str], service: str = "billing") -> ExampleSettings:
    return load(ExampleSettings, service=service, environ=environ)


def test_defaults_stand_where_nothing_is_set() -> None:
    settings = example(DSN)
    assert (settings.port, settings.lease_finalise, settings.drain_seconds) == (8080, True, 25.0)
    assert load(CommonSettings, service="edge", environ={}) == CommonSettings()


def test_text_becomes_the_type_of_the_field() -> None:
    settings = example(DSN | {"FANGATE_PORT": "99", "FANGATE_LEASE_FINALISE": "false", "FANGATE_DRAIN_SECONDS": "1.5"})
    assert (settings.port, settings.lease_finalise, settings.drain_seconds) == (99, False, 1.5)


def test_the_first_of_four_sources_wins(tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.write_text("own file\n")
    shared.write_text("shared file\n")
    sources = {
        "FANGATE_POSTGRES_DSN_BILLING": "own",
        "FANGATE_POSTGRES_DSN_BILLING_FILE": str(own),
        "FANGATE_POSTGRES_DSN": "shared",
        "FANGATE_POSTGRES_DSN_FILE": str(shared),
    }
    seen = []
    while sources:
        seen.append(example(sources).postgres_dsn.reveal())
        del sources[next(iter(sources))]
    assert seen == ["own", "own file", "shared", "shared file"]


def test_a_setting_of_another_service_is_not_ours() -> None:
    with pytest.raises(SettingsError, match="FANGATE_POSTGRES_DSN is not set"):
        example({"FANGATE_POSTGRES_DSN_AUTH": "x"})


def test_an_unknown_variable_with_our_prefix_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="FANGATE_POSTGRESS_DSN"):
        example(DSN | {"FANGATE_POSTGRESS_DSN": "x"})


def test_variables_of_others_are_none_of_our_business() -> None:
    assert example(DSN | {"PATH": "/bin", "POSTGRES_DSN": "x", "fangate_port": "x"}).port == 8080


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_setting_may_stand_in_a_file_and_be_one_services_own(name: str) -> None:
    extra = {f"FANGATE_{name}_EDGE": "x", f"FANGATE_{name}_EDGE_FILE": "x", f"FANGATE_{name}_TAKEDOWNS": "x"}
    assert load(CommonSettings, service="billing", environ=extra) == CommonSettings()


def test_a_malformed_value_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError) as refusal:
        example(DSN | {"FANGATE_PORT": "hunter2"})
    assert "port" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="FANGATE_POSTGRES_DSN_FILE"):
        example({"FANGATE_POSTGRES_DSN_FILE": str(tmp_path / "absent")})


def test_a_secret_shows_itself_only_when_asked() -> None:
    settings = example(DSN)
    assert "hunter2" in settings.postgres_dsn.reveal()
    for shown in (
        repr(settings),
        str(settings.postgres_dsn),
        f"{settings.postgres_dsn}",
        repr([settings.postgres_dsn]),
    ):
        assert "hunter2" not in shown


def test_secrets_compare_by_value_and_are_empty_or_not() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"
    assert bool(Secret("a")) > bool(Secret(""))


def test_service_names_do_not_make_two_settings_look_alike() -> None:
    known_with_service = {f"{name}_{service.upper()}" for name in KNOWN for service in SERVICES}
    assert known_with_service & KNOWN <= {"REPLICAS_EDGE"}
