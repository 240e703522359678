"""Generated files are written whole, and what differs from their data is named."""

from pathlib import Path

import pytest

from deploy import documents
from deploy.documents import differences, from_yaml, to_yaml, write


def test_yaml_keeps_the_order_and_can_be_read_again() -> None:
    text = to_yaml({"b": 1, "a": ["x"]}, {"expr": "one\nor\ntwo"}, source="make something")
    assert text.startswith("# Written by `make something`")
    assert text.index("b:") < text.index("a:")
    assert from_yaml(text) == [{"b": 1, "a": ["x"]}, {"expr": "one\nor\ntwo"}]


def test_what_occurs_twice_is_written_twice() -> None:
    labels = {"a": "b"}
    assert "&" not in to_yaml({"first": labels, "second": labels})


def test_stale_missing_and_superfluous_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    files = {tmp_path / "a.yaml": "1\n", tmp_path / "b.yaml": "2\n", tmp_path / "c.yaml": "3\n"}
    (tmp_path / "a.yaml").write_text("1\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("changed\n", encoding="utf-8")
    (tmp_path / "old.yaml").write_text("0\n", encoding="utf-8")
    assert differences(files, folder=tmp_path, pattern="*.yaml") == ["b.yaml", "c.yaml", "old.yaml"]


def test_writing_removes_what_is_generated_no_more(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("0\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("by hand\n", encoding="utf-8")
    write({tmp_path / "a.yaml": "1\n"}, folder=tmp_path, pattern="*.yaml")
    assert {path.name for path in tmp_path.iterdir()} == {"a.yaml", "README.md"}
