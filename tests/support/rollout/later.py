"""What a later release writes on the bus: every struct, at any depth, has a member that is unknown today.

The next release of a rollout carries this file (`releases.py`), so it keeps to msgspec.
"""

from typing import Any

import msgspec


def encode(value: Any) -> bytes:
    """`value` as JSON, as a later release would write it."""
    return msgspec.json.encode(with_more(value))


def with_more(value: Any) -> Any:
    """`value` in plain types, its structs with more in them."""
    if isinstance(value, msgspec.Struct):
        fields, config = msgspec.structs.fields(value), value.__struct_config__
        if config.array_like:
            return [*(with_more(getattr(value, field.name)) for field in fields), "of the next release"]
        known = {field.encode_name: getattr(value, field.name) for field in fields}
        members = {name: with_more(member) for name, member in known.items() if member is not msgspec.UNSET}
        kind = {} if config.tag_field is None else {config.tag_field: config.tag}
        return kind | members | {"of_the_next_release": [{"a": 1}]}
    if isinstance(value, dict):
        return {key: with_more(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [with_more(member) for member in value]
    return value
