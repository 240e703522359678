"""2026-11-20: a key without a window of its own says so with `null`; a 0 looked like no call at all."""

from typing import Final

from services.edge.domain.changes.change import Document, Schemas, VersionChange, with_member


def _down(caller: Document) -> Document:
    limits = caller["limits"]
    return {**caller, "limits": {**limits, "key_per_minute": limits["key_per_minute"] or 0}}


def _down_schemas(schemas: Schemas) -> Schemas:
    return with_member(schemas, "CallerLimits", "key_per_minute", {"type": "integer"})


CHANGE: Final = VersionChange(
    version="2026-11-20",
    id="key-window-null",
    text="`GET /api/whoami`: `limits.key_per_minute` is `null` for a key without a window of its own; before, it was 0.",
    routes=frozenset({"self_read"}),
    down_response=_down,
    down_schemas=_down_schemas,
)
