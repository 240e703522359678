"""Finding the servers' programs, and saying what to install."""

from pathlib import Path

import pytest

from deploy.local import programs
from deploy.local.programs import MissingProgramsError, find_programs, install_command


def a_program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n", encoding="ascii")
    path.chmod(0o755)
    return path


def test_path_comes_first_and_the_newest_version_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    chosen = a_program(tmp_path / "path", "postgres")
    for name in programs._PLACES:
        monkeypatch.setitem(programs._PLACES, name, (str(tmp_path / "*" / "bin"),))
        for version in ("15", "16"):
            a_program(tmp_path / version / "bin", name)
    found = find_programs()
    assert found.postgres == chosen
    assert found.redis_server == tmp_path / "16" / "bin" / "redis-server"


def test_the_wrapper_that_insists_on_its_own_user_is_not_taken_from_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for name in programs._PLACES:
        a_program(tmp_path / "path", name)
    monkeypatch.setitem(programs._PLACES, "rabbitmq-server", (str(tmp_path / "nowhere"),))
    with pytest.raises(MissingProgramsError) as missing:
        find_programs()
    assert missing.value.packages == ["rabbitmq-server"]


def test_everything_missing_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in programs._PLACES:
        monkeypatch.setitem(programs._PLACES, name, ())
    with pytest.raises(MissingProgramsError) as missing:
        find_programs()
    assert missing.value.packages == ["postgresql", "rabbitmq-server", "redis-server"]
    assert "\n" not in str(missing.value)


@pytest.mark.parametrize(
    ("platform", "command"),
    [("linux", "sudo apt-get install -y redis-server"), ("darwin", "brew install redis")],
)
def test_the_command_is_the_platforms_own(platform: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert install_command(["redis-server"]) == command
