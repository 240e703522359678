"""The envelope of a success on the surfaces that wrap: `{data,_meta}`, the platform's bytes in it untouched."""

from typing import Final

from services.edge.domain.ports import Reserved
from services.edge.domain.upstream import Upstream
from services.edge.entry.surface import Schema

_META: Final = (
    b',"_meta":{"_credits":{"used":%d,"balance":%b},"_rate_limits":{"limit_minute":%d,"remaining_minute":%d,'
    b'"limit_day":%d,"remaining_day":%d}}}'
)

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}


def _all_of(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


META_SCHEMA: Final[dict[str, Schema]] = {
    "Meta": _all_of(
        {
            "_credits": _all_of({"used": _COUNT, "balance": {"type": ["integer", "null"], "minimum": 0}}),
            "_rate_limits": _all_of(
                dict.fromkeys(("limit_minute", "remaining_minute", "limit_day", "remaining_day"), _COUNT)
            ),
        }
    )
}


def wrapped(upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
    """Status and body of an answer that is charged."""
    windows = reserved.windows
    meta = _META % (
        reserved.cost,
        b"null" if reserved.balance is None else b"%d" % reserved.balance,
        windows.limits.minute,
        windows.remaining_minute,
        windows.limits.day,
        windows.remaining_day,
    )
    # Spliced, not parsed: byte order, spacing, duplicate keys and 20-digit numbers come through as the platform sent them.
    status = 200 if upstream.status in {204, 205} else upstream.status
    return status, b'{"data":' + (upstream.body or b"null") + meta


def wrapped_schema(data: Schema) -> Schema:
    """The body of such an answer."""
    return _all_of({"data": data, "_meta": {"$ref": "#/components/schemas/Meta"}})
