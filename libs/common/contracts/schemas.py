"""JSON schemas of messages and answers, the same from every Python: since 3.13 docstrings lose their indent when they are compiled."""

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec


def schemas_of(types: Iterable[Any], *, ref: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """How each type is referred to, and the components by name. `ref` is the template of a reference."""
    shown, schemas = msgspec.json.schema_components(types, ref_template=ref)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return shown, schemas
