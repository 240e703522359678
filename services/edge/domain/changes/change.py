"""What a change of version is made of."""

from collections.abc import Callable
from typing import Any

import msgspec

Document = dict[str, Any]  # a JSON object
Schemas = dict[str, dict[str, Any]]  # by the name of the struct


class VersionChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change that callers could notice, and the way back for those of older versions."""

    version: str  # the first that has it
    id: str  # short, in words and dashes
    text: str  # for callers: what is different, and what to do
    routes: frozenset[str]  # by name, whose requests or answers it touches
    up_request: Callable[[Document], Document] | None = None
    gone: dict[
        str, str
    ] = {}  # members of older requests, and what says it now: refused, for ignoring them would do harm
    down_response: Callable[[Document], Document] | None = None
    down_schemas: Callable[[Schemas], Schemas]


def with_member(schemas: Schemas, struct: str, member: str, schema: dict[str, Any] | None, *, was: str = "") -> Schemas:
    """`schemas` in which a struct's member has another schema, or another name `was`; the rest is shared."""
    if struct not in schemas:  # of another surface
        return schemas
    whole = schemas[struct]
    properties = {
        (was or member) if name == member else name: schema if name == member and schema is not None else said
        for name, said in whole["properties"].items()
    }
    return {**schemas, struct: {**whole, "properties": properties}}
