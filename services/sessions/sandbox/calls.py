"""One call as a handler of the sandbox sees it, its answer, and paging. No HTTP in here."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

PAGE_SIZE: Final = 20
PAGE_SIZE_MAX: Final = 50


class PlatformError(Exception):
    """The platform refuses the call with `status`, `code` and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(f"{status} {code}: {message}")


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of a request: path parameters, query, raw body."""

    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    raw_body: bytes = b""

    def id(self, name: str) -> int:
        """A numeric id of the path. The sandbox knows no UUIDs, so one is simply not found."""
        text = self.params[name]
        if not _ID.fullmatch(text):
            raise not_found(name.removesuffix("_id"))
        return int(text)

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; an empty body counts as `{}`."""
        if not self.raw_body:
            return {}
        try:
            value = json.loads(self.raw_body)
        except ValueError:
            raise PlatformError(400, "invalid_json", "The body is not JSON") from None
        if not isinstance(value, dict):
            raise PlatformError(422, "invalid_body", "The body must be an object")
        return value

    def text(self, name: str, *, max_length: int = 10_000) -> str:
        """A required, non-empty string member of the body."""
        value = self.body().get(name)
        if not isinstance(value, str) or not value.strip():
            raise PlatformError(422, "missing_field", f"{name} is required")
        if len(value) > max_length:
            raise PlatformError(422, "too_long", f"{name} may have {max_length} characters")
        return value

    def numbers(self, name: str) -> list[int]:
        """A list of ids in the body; ids may come as numbers or as strings of digits."""
        value = self.body().get(name, [])
        if not isinstance(value, list) or not all(is_id(item) for item in value):
            raise PlatformError(422, "invalid_field", f"{name} must be a list of ids")
        return [int(item) for item in value]

    def texts(self, name: str) -> list[str]:
        """A list of strings in the body; none = empty."""
        value = self.body().get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise PlatformError(422, "invalid_field", f"{name} must be a list of strings")
        return value

    def positive(self, name: str, default: int, *, most: int | None = None) -> int:
        """A whole number of the query, from 1 to `most`."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= (most or int(text)):
            raise PlatformError(
                400, "invalid_parameter", f"{name} must be a whole number from 1" + (f" to {most}" if most else "")
            )
        return int(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform says. `value` None with status 204 = no body at all."""

    value: Any
    status: int = 200


_ID: Final = re.compile(r"[0-9]{1,20}")


def is_id(value: object) -> bool:
    """Whether it names something: a whole number, as such or as a string of digits."""
    return isinstance(value, str | int) and not isinstance(value, bool) and _ID.fullmatch(str(value)) is not None


NO_CONTENT: Final = Answer(None, status=204)
Handler = Callable[[Any, Call], Answer]  # (account, call)


def not_found(what: str) -> PlatformError:
    return PlatformError(404, "not_found", f"No such {what.replace('_', ' ')}")


def page_of(call: Call, items: Sequence[Any]) -> Answer:
    """One page of `items`: by `page` and `size`, or by `cursor` where the call has one."""
    size = call.positive("size", PAGE_SIZE, most=PAGE_SIZE_MAX)
    if (cursor := call.query.get("cursor")) is not None:
        if cursor and not cursor.removeprefix("c").isdecimal():
            raise PlatformError(400, "invalid_parameter", "cursor is not one of ours")
        start = int(cursor.removeprefix("c") or 0)
        more = start + size < len(items)
        return Answer({"data": items[start : start + size], "nextCursor": f"c{start + size}" if more else None})
    page = call.positive("page", 1)
    start = (page - 1) * size
    return Answer(
        {
            "data": items[start : start + size],
            "pagination": {"page": page, "size": size, "hasMore": start + size < len(items)},
        }
    )
