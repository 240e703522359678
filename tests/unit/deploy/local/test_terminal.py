"""How log lines are shown to a person."""

from pathlib import Path

import pytest

from deploy.local.terminal import LogFollower, readable


def test_a_json_line_is_shown_in_short() -> None:
    line = '{"event":"ready","level":"info","timestamp":"2026-01-02T03:04:05.678Z","service":"edge","port":8080}'
    assert readable(line) == "03:04:05 info    ready port=8080"


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "", "[1, 2]", "{broken"])
def test_any_other_line_is_shown_as_it_is(line: str) -> None:
    assert readable(line) == line


def test_a_line_is_shown_once_it_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "edge.log"
    log.write_text("from an earlier run\n", encoding="utf-8")
    follower = LogFollower(tmp_path, ["edge", "auth"])
    with log.open("a", encoding="utf-8") as file:
        file.write("one\ntw")
    follower.flush()
    assert capsys.readouterr().out == "edge | one\n"
    with log.open("a", encoding="utf-8") as file:
        file.write("o\n")
    follower.flush()
    follower.flush()
    assert capsys.readouterr().out == "edge | two\n"
