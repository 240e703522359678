"""Generated YAML and JSON files: how they are written, and whether what is committed is what would be written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]


def to_yaml(*documents: Any, source: str = "") -> str:
    """YAML in the order given. `source` is the command that writes the file anew."""
    head = f"# Written by `{source}`; change the data there.\n" if source else ""
    texts = [
        yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True) for document in documents
    ]
    return head + "---\n".join(texts)


def to_json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_yaml(text: str) -> list[Any]:
    """All documents of a text, without empty ones."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def write(files: Mapping[Path, str], *, folder: Path, pattern: str) -> None:
    """Write `files`; what else matches `pattern` in `folder` was generated once, and goes."""
    for path in set(folder.glob(pattern)) - set(files):
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def differences(files: Mapping[Path, str], *, folder: Path, pattern: str) -> list[str]:
    """The files that are not what `files` says, relative to the project."""
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return sorted(str(path.relative_to(ROOT)) for path in {*stale, *set(folder.glob(pattern)) - set(files)})


class _Plain(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Without anchors, and long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the interface of PyYAML)
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)
