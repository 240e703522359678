"""Compose and the image agree with the code: every service with its settings, its own secrets and nothing more."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.compose.secrets import contents, prepare
from deploy.compose.system import FILE
from deploy.docker.images import IMAGES
from deploy.documents import ROOT, from_yaml
from deploy.local.profile import Profile
from deploy.system import ADMIN_PORT, PUBLIC_PORT, SERVICES, USER_ID, Service
from libs.common.bus.topology import QUEUES, USERS
from libs.common.settings import KNOWN, PREFIX

(COMPOSE,) = from_yaml(FILE.read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
OURS = [*(each.name for each in SERVICES), "sandbox", "migrate"]


def of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_gets_the_settings_it_needs_and_none_it_does_not_read(service: Service) -> None:
    given = {name.removeprefix(PREFIX).removesuffix("_FILE") for name in of(service.name)["environment"]}
    required = {field.name.upper() for field in msgspec.structs.fields(service.struct) if field.required}
    assert given <= service.fields
    assert required <= given
    assert of(service.name)["command"] == ["python", "-m", f"services.{service.name}"]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_reads_its_secrets_from_files_that_only_it_mounts(service: Service) -> None:
    environment = of(service.name)["environment"]
    files = {name: path for name, path in environment.items() if name.endswith("_FILE")}
    required = {field.name.upper() for field in msgspec.structs.fields(service.struct) if field.required}
    given = {name.removeprefix(PREFIX).removesuffix("_FILE") for name in files}
    assert required & set(service.secrets) <= given <= set(service.secrets)
    assert {path.removeprefix("/run/secrets/") for path in files.values()} == set(of(service.name)["secrets"])
    others = {each.name for each in SERVICES} - {service.name}
    assert [secret for secret in of(service.name)["secrets"] if secret.rpartition("_")[2] in others] == []


def test_the_migration_gets_the_login_of_every_service_that_keeps_tables() -> None:
    stateful = {each.name for each in SERVICES if "POSTGRES_DSN" in each.secrets}
    assert set(of("migrate")["secrets"]) == {f"postgres_dsn_{name}" for name in (*stateful, "migrate")}


@pytest.mark.parametrize("name", OURS)
def test_containers_of_ours_can_write_nothing_and_may_nothing(name: str) -> None:
    service = of(name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == "${GATEWAY_IMAGE:-fangate:dev}"


def test_only_the_edge_and_the_boards_are_published_and_only_on_this_host() -> None:
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert set(published) == {"edge", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert published["edge"][0].endswith(f":{PUBLIC_PORT}")


def test_no_variable_of_compose_looks_like_a_setting_that_there_is_not() -> None:
    text = FILE.read_text(encoding="utf-8")
    asked = {part.partition(":-")[0].partition("}")[0] for part in text.split("${")[1:]}
    assert {name for name in asked if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in KNOWN} == set()


def test_every_secret_that_is_mounted_is_prepared(tmp_path: Path) -> None:
    assert set(COMPOSE["secrets"]) == set(contents(Profile("compose", run=tmp_path)))


def test_secrets_are_made_once_and_only_their_owner_finds_them(tmp_path: Path) -> None:
    profile = Profile("compose", run=tmp_path)
    folder = prepare(profile)
    before = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert prepare(profile) == folder
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == before


def test_the_brokers_definitions_are_the_topology_with_its_logins(tmp_path: Path) -> None:
    definitions = json.loads(contents(Profile("compose", run=tmp_path))["rabbitmq_definitions"])
    assert {queue.name for queue in QUEUES} <= {queue["name"] for queue in definitions["queues"]}
    assert {user["name"] for user in definitions["users"]} == {*USERS, "admin"}
    assert all(user["password_hash"] for user in definitions["users"])


def test_definitions_that_changed_are_written_anew(tmp_path: Path) -> None:
    profile = Profile("compose", run=tmp_path)
    path = prepare(profile) / "rabbitmq_definitions"
    old = json.loads(path.read_text(encoding="utf-8"))
    old["queues"].pop()
    path.unlink()
    path.write_text(json.dumps(old), encoding="utf-8")
    prepare(profile)
    assert len(json.loads(path.read_text(encoding="utf-8"))["queues"]) == len(old["queues"]) + 1


def test_the_image_is_what_the_pods_expect() -> None:
    assert f"USER {USER_ID}:{USER_ID}" in DOCKERFILE
    assert f"FANGATE_ADMIN_PORT={ADMIN_PORT}" in DOCKERFILE
    assert f"EXPOSE {PUBLIC_PORT}" in DOCKERFILE
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    # An engine without buildx, or without a registry, cannot do these.
    assert "# syntax=" not in DOCKERFILE
    assert "COPY --link" not in DOCKERFILE
    assert "<<" not in DOCKERFILE


def test_every_image_that_runs_has_a_stand_in_for_machines_without_registry() -> None:
    images = {service["image"] for service in COMPOSE["services"].values() if "profiles" not in service} - {
        of("edge")["image"]
    }
    assert images <= set(IMAGES)
    assert {(ROOT / "deploy" / "docker" / "standins" / f"{name}.Dockerfile").is_file() for name in IMAGES.values()} == {
        True
    }
