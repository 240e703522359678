"""The directory's rows that come with the program: `hosts/*.toml`, read once and checked."""

import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

import msgspec

from services.takedowns.domain.host import Entry, Method

_FILES: Final = ("platforms", "tubes", "filehosts", "messengers", "infrastructure", "search")


def shipped_hosts() -> tuple[Entry, ...]:
    """Every shipped row. Raises ValueError naming the file and the row that is wrong."""
    entries = tuple(entry for name in _FILES for entry in _rows(name))
    seen: dict[str, str] = {}
    for entry in entries:
        for word in (entry.id, *entry.match):
            if word in seen:
                raise ValueError(f"{entry.id}: {word!r} is also in {seen[word]}")
        seen |= dict.fromkeys({entry.id, *entry.match}, entry.id)
    return entries


def _rows(name: str) -> Iterator[Entry]:
    text = resources.files("services.takedowns.store").joinpath(f"hosts/{name}.toml").read_text(encoding="utf-8")
    for row in tomllib.loads(text)["entry"]:
        yield parse_entry(row, source=f"{name}.toml")


def parse_entry(row: dict[str, Any], *, source: str) -> Entry:
    """A row of a file. An empty `verified_at` is no date. Raises ValueError."""
    try:
        entry = msgspec.convert({key: value for key, value in row.items() if value != ""}, Entry)
    except msgspec.ValidationError as exc:
        raise ValueError(f"{source}: {row.get('id', '?')}: {exc}") from None
    needed = {Method.EMAIL: entry.dmca_email, Method.FORM: entry.form_url, Method.API: entry.api}
    if not needed.get(entry.takedown_method, "none is needed") or not entry.match:
        raise ValueError(f"{source}: {entry.id}: {entry.takedown_method} needs its address, and a host to match")
    return entry
