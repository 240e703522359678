"""JSON as platforms really send it: odd spacing, numbers spelled their own way, members twice.

A gateway that parses and prints again would change these bytes; one that splices them does not. What is rendered stays valid
JSON (RFC 8259), except that duplicate members are merely discouraged there.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


class Number(str):
    """A JSON number spelled exactly like this (`1e400`, `12.50`, `-0`)."""

    __slots__ = ()


class Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object with its members in this order, also when a name comes twice."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How a platform's serializer happens to write."""

    comma: str
    colon: str
    pad: str = ""  # inside brackets that are not empty
    indent: str = ""  # per level, after `newline`
    newline: str = ""
    ascii_only: bool = True
    end: str = ""  # after the document


STYLES: Final = (
    Style(comma=",", colon=":"),
    Style(comma=", ", colon=": "),
    Style(comma=" ,", colon=" : ", pad=" ", ascii_only=False),
    Style(comma=",", colon=": ", newline="\n", indent="  ", ascii_only=False, end="\n"),
    Style(comma=",", colon=":\t", newline="\r\n", indent="\t"),
)


def style_of(path: str) -> Style:
    """The style of a path: the same path always speaks the same way."""
    return STYLES[zlib.crc32(path.encode()) % len(STYLES)]


def render(value: Any, style: Style) -> bytes:
    """`value` (mappings, sequences, strings, numbers, booleans, None, `Number`, `Pairs`) as JSON in `style`."""
    out: list[str] = []
    _write(value, style, 0, out.append)
    out.append(style.end)
    return "".join(out).encode()


def _write(value: Any, style: Style, depth: int, put: Callable[[str], None]) -> None:
    if isinstance(value, Number):
        put(str(value))
    elif isinstance(value, Pairs):
        _write_members(value, style, depth, put)
    elif isinstance(value, Mapping):
        _write_members(value.items(), style, depth, put)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        _write_items(value, style, depth, put)
    else:
        put(json.dumps(value, ensure_ascii=style.ascii_only, allow_nan=False))


def _write_members(members: Any, style: Style, depth: int, put: Callable[[str], None]) -> None:
    inner, outer = _breaks(style, depth)
    put("{")
    first = True
    for name, value in members:
        put(inner if first else style.comma + inner.removeprefix(style.pad))
        put(json.dumps(name, ensure_ascii=style.ascii_only))
        put(style.colon)
        _write(value, style, depth + 1, put)
        first = False
    put("}" if first else outer + "}")


def _write_items(items: Sequence[Any], style: Style, depth: int, put: Callable[[str], None]) -> None:
    inner, outer = _breaks(style, depth)
    put("[")
    first = True
    for value in items:
        put(inner if first else style.comma + inner.removeprefix(style.pad))
        _write(value, style, depth + 1, put)
        first = False
    put("]" if first else outer + "]")


def _breaks(style: Style, depth: int) -> tuple[str, str]:
    """What stands before an item, and before the closing bracket."""
    if style.newline:
        return style.newline + style.indent * (depth + 1), style.newline + style.indent * depth
    return style.pad, style.pad
