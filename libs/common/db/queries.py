"""Named SQL: a store keeps its statements in `queries.sql`, each under `-- name: open_lease` and one line of purpose.

    QUERIES = load_queries(__package__)
    row = await tx.fetchrow(QUERIES.open_lease, org_id, cost)

A contract test checks that every used name exists and every existing one is used.
"""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Final

_HEADING: Final = re.compile(r"^-- name:[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Queries:
    """The statements of one file, as attributes."""

    def __init__(self, source: str, texts: dict[str, str]) -> None:
        self._source = source
        self._texts = texts

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"{self._source} has no query named {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def load_queries(package: str | None, file: str = "queries.sql") -> Queries:
    """Read `file` of `package`. Raises ValueError for a bad or double name, an empty query or one without its purpose."""
    if not package:
        raise ValueError("load_queries needs the package that holds the file")
    return parse_queries(
        resources.files(package).joinpath(file).read_text(encoding="utf-8"), source=f"{package}/{file}"
    )


def parse_queries(text: str, *, source: str) -> Queries:
    """As `load_queries`, from the text itself."""
    before, *parts = _HEADING.split(text)
    if re.sub(r"^--.*$", "", before, flags=re.MULTILINE).strip():
        raise ValueError(f"{source}: SQL before the first name")
    texts: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if not _NAME.fullmatch(name) or name in texts:
            raise ValueError(f"{source}: bad or double name {name!r}")
        purpose, _, sql = body.strip().partition("\n")
        if not purpose.startswith("-- ") or not re.sub(r"^\s*--.*$", "", sql, flags=re.MULTILINE).strip():
            raise ValueError(f"{source}: {name} needs one line of purpose (`-- …`) and a statement")
        texts[name] = sql.strip().rstrip(";")
    return Queries(source, texts)
