"""2026-11-20: the overlap of a rotation is a whole number of seconds; before, it was hours with a fraction."""

from typing import Annotated, Final

import msgspec

from services.edge.domain.changes.change import Document, Schemas, VersionChange, with_member
from services.edge.domain.refusal import Refusal

_HOURS_MAX: Final = 24
_Hours = Annotated[float, msgspec.Meta(ge=0, le=_HOURS_MAX)]


def _up(rotation: Document) -> Document:
    newer = {name: value for name, value in rotation.items() if name not in {"overlap_hours", "overlap_seconds"}}
    if "overlap_hours" in rotation:
        try:
            hours = msgspec.convert(rotation["overlap_hours"], _Hours)
        except msgspec.ValidationError as exc:
            text = str(exc)
            raise Refusal("INVALID_REQUEST", f"overlap_hours: {text[:1].lower()}{text[1:]}") from None
        newer["overlap_seconds"] = int(hours * 3_600)
    return newer


def _down_schemas(schemas: Schemas) -> Schemas:
    hours = {"type": "number", "minimum": 0, "maximum": _HOURS_MAX, "default": 0}
    return with_member(schemas, "Rotation", "overlap_seconds", hours, was="overlap_hours")


CHANGE: Final = VersionChange(
    version="2026-11-20",
    id="overlap-in-seconds",
    text="`POST /api/keys/{key_id}/rotate` takes `overlap_seconds` (0 to 86400, whole); before, `overlap_hours` (0 to 24).",
    routes=frozenset({"keys_rotate"}),
    up_request=_up,
    gone={"overlap_hours": "overlap_seconds"},  # unsaid, the old key would end at once
    down_schemas=_down_schemas,
)
