"""What each process is told, and what it is not."""

import subprocess
from pathlib import Path

import pytest

from deploy.local.environment import (
    SERVICES,
    Environment,
    SettingError,
    env_file,
    instances,
    read_env_file,
    service_of,
)
from libs.common.settings import refuse_unknown

ODD = "it's a $secret with `ticks`, spaces and \\ all"


def an_environment(**changes: int) -> Environment:
    return Environment(
        env="dev",
        postgres_dsn=lambda service: f"postgresql://{service}_app:pg-{service}@127.0.0.1:20001/fangate",
        amqp_url=lambda service: f"amqp://{service}:mq-{service}@127.0.0.1:20002/fangate",
        redis_url="redis://127.0.0.1:20003/0",
        redis_prefix="fangate:",
        key_peppers="dev:" + "a" * 64,
        vault_keys="dev:" + "b" * 64,
        form_keys="dev:" + "c" * 64,
        password_keys="dev:" + "d" * 64,
        webhook_keys="dev:" + "d" * 64,
        mail_dir=".run/dev/mail",
        fanvue_client=("app-of-this-checkout", "e" * 64),
        port=8080,
        sandbox_port=20004,
        admin_ports={name: 9090 + number for number, name in enumerate(instances({}) + list(changes))},
    )


def test_a_process_is_told_its_own_logins_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANGATE_POSTGRES_DSN", "postgresql://administrator@127.0.0.1/")
    monkeypatch.setenv("FANGATE_LOG_LEVEL", "debug")
    environment = an_environment()
    for service in SERVICES:
        told = environment.of(service)
        others = [other for other in SERVICES if other != service]
        assert [other for other in others if f"pg-{other}" in str(told) or f"mq-{other}" in str(told)] == []
        assert "administrator" not in str(told)
        assert told["FANGATE_LOG_LEVEL"] == "debug"
        refuse_unknown(told)
    assert "FANGATE_POSTGRES_DSN" not in environment.of("sandbox")
    assert "FANGATE_VAULT_KEYS" not in environment.of("edge")
    assert "FANGATE_FORM_KEYS" not in environment.of("edge")
    assert "FANGATE_KEY_PEPPERS" not in environment.of("sessions")
    assert [service for service in SERVICES if "e" * 64 in str(environment.of(service))] == ["sandbox", "sessions"]


def test_an_app_of_a_persons_own_takes_the_place_of_the_sandboxs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert an_environment().of("sessions")["FANGATE_FANVUE_AUTH_URL"] == "http://127.0.0.1:20004"
    monkeypatch.setenv("FANGATE_FANVUE_CLIENT_ID", "mine")
    told = an_environment().of("sessions")
    assert (told["FANGATE_FANVUE_CLIENT_ID"], "FANGATE_FANVUE_AUTH_URL" in told) == ("mine", False)


def test_the_written_environment_is_known_to_the_settings_and_read_by_a_shell(tmp_path: Path) -> None:
    text = an_environment().text("postgresql://owner@127.0.0.1/fangate")
    refuse_unknown(read_env_file(text))
    file = tmp_path / "env"
    file.write_text(text + env_file({"ODD": ODD}), encoding="utf-8")

    done = subprocess.run(
        ["sh", "-c", f'set -a; . "{file}"; printf "%s\\n" "$FANGATE_POSTGRES_DSN_BILLING" "$ODD"'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["postgresql://billing_app:pg-billing@127.0.0.1:20001/fangate", ODD]


def test_an_env_file_reads_back() -> None:
    lines = {"PLAIN": "x=y", "ODD": ODD, "EMPTY": ""}
    assert read_env_file(env_file(lines)) == lines


def test_replicas_are_processes_with_names_of_their_own() -> None:
    assert instances({}) == list(SERVICES)
    names = instances({"FANGATE_EDGE_PROCESSES": "2", "FANGATE_REPLICAS_SESSIONS": "3"})
    assert names == [
        "sandbox",
        "billing",
        "auth",
        "sessions",
        "sessions-2",
        "sessions-3",
        "takedowns",
        "edge",
        "edge-2",
    ]
    assert [service_of(name) for name in names[-2:]] == ["edge", "edge"]


@pytest.mark.parametrize("text", ["0", "9", "-1", "two", "", "1.5", "\uff12"])
def test_a_number_of_replicas_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingError, match="FANGATE_REPLICAS_BILLING"):
        instances({"FANGATE_REPLICAS_BILLING": text})


def test_edges_beside_each_other_know_how_many_they_are() -> None:
    told = an_environment(**{"edge-2": 1}).of("edge-2")
    assert told["FANGATE_REPLICAS_EDGE"] == "2"
    assert told["FANGATE_PORT_EDGE"] == "8080"
