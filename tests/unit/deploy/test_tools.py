"""Programs are fetched only where they are missing, and a machine that cannot fetch says in one line what to install."""

import shutil
from pathlib import Path

import pytest

from deploy import tools
from deploy.tools import ToolMissingError, fetch, find, main


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing in PATH and nothing fetched; the folder that is its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tools, "FOLDER", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="ascii")
    path.chmod(0o755)
    return path


def test_a_program_in_the_path_is_used_as_it_is(bare: Path) -> None:
    promtool = put(bare / "promtool")
    put(tools.FOLDER / "prometheus" / "usr" / "bin" / "promtool")
    assert find("prometheus", "promtool") == promtool


def test_an_unpacked_program_is_found(bare: Path) -> None:
    promtool = put(tools.FOLDER / "prometheus" / "usr" / "bin" / "promtool")
    assert find("prometheus", "promtool") == promtool
    assert find("prometheus", "prometheus") is None


def test_nothing_is_fetched_that_is_there(bare: Path) -> None:
    put(bare / "amtool")
    fetch("alertmanager")
    assert not tools.FOLDER.exists()


@pytest.mark.parametrize("tool", ["prometheus", "kubectl"])
def test_without_apt_one_line_says_what_to_install(bare: Path, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    assert main([tool]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert tool in said


def test_a_failed_download_gives_its_reason(bare: Path) -> None:
    put(bare / "dpkg")
    apt = put(bare / "apt-get")
    apt.write_text(
        f"#!{shutil.which('sh', path='/bin:/usr/bin')}\necho 'E: Unable to locate package' >&2\nexit 100\n",
        encoding="ascii",
    )
    with pytest.raises(ToolMissingError, match="Unable to locate package"):
        fetch("prometheus")
