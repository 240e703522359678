"""What a route takes beside its body: parameters of the path, the query and the headers."""

import re
from typing import Any, Final

from libs.common.contracts.catalogue import parameter_pattern
from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.catalogue import ACCOUNT_PARAMETER, MODEL_PARAMETER, Route
from services.edge.domain.idempotency import KEY_HEADER, KEY_LENGTH_MAX
from services.edge.domain.own_route import OwnRoute
from services.edge.domain.queries import QueryRule, Values
from services.edge.entry.openapi.answers import is_open
from services.edge.entry.openapi.words import PARAMETERS
from services.edge.entry.surface import Schema, Surface
from services.edge.entry.versions import VERSION_HEADERS

HOST_PARAMETER: Final = "host"
_NAMES: Final = re.compile(r"\{([a-z_]+)\}")
_UUID: Final[Schema] = {"type": "string", "format": "uuid"}
_HOST: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 253, "example": "leak-forum.net"}
_NUMBER: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,20}$"}
_IDEMPOTENCY_KEY: Final[Schema] = {
    "type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[ -~]*[!-~][ -~]*$",
}  # fmt: skip


def parameters_of(route: Route) -> list[dict[str, Any]]:
    """All of them, in the order path, query, headers."""
    found = [_path(route, name) for name in _NAMES.findall(route.path)]
    found += [_query(name, rule) for name, rule in route.query.items()]
    if not is_open(route):
        found.append({"$ref": "#/components/parameters/Version"})
        if route.is_unsafe:
            found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found


def shared_parameters(surface: Surface) -> dict[str, dict[str, Any]]:
    """The headers that many routes take."""
    name = surface.version_headers[0]
    (alias,) = (each for each in VERSION_HEADERS if each != name)
    is_required = any(route.requires_version for route in surface.routes())
    none = "" if is_required else "; none = the one pinned on the key"
    return {
        "Version": {
            "name": name,
            "in": "header",
            "required": is_required,
            "description": f"The version to answer in{none}. {alias} means the same.",
            "schema": {"enum": list(API_VERSIONS)},
        },
        "IdempotencyKey": {
            "name": KEY_HEADER,
            "in": "header",
            "description": "Names this request for 24 hours: repeated with the same key, it has its effect once, is paid once, and is "
            "answered as before.",
            "schema": _IDEMPOTENCY_KEY,
            "example": "9f0f3c1e-5f0e-4b0a-9a53-2c8f0c6e7b11",
        },
    }


def _path(route: Route, name: str) -> dict[str, Any]:
    schema: Schema
    if name == ACCOUNT_PARAMETER:
        schema = {"anyOf": [_UUID, _NUMBER]}
    elif name == HOST_PARAMETER:
        schema = _HOST
    elif name == MODEL_PARAMETER or isinstance(route, OwnRoute):
        schema = _UUID
    else:
        schema = {"type": "string", "pattern": f"^({parameter_pattern(name).pattern})$"}
    described = {"description": PARAMETERS[name]} if name in PARAMETERS else {}
    return {"name": name, "in": "path", "required": True, **described, "schema": schema}


def _query(name: str, rule: QueryRule) -> dict[str, Any]:
    described = {"description": PARAMETERS[name]} if name in PARAMETERS else {}
    listed = {"style": "form", "explode": False} if isinstance(rule, Values) and rule.is_list else {}
    return {"name": name, "in": "query", **described, **listed, "schema": _schema(rule)}


def _schema(rule: QueryRule) -> Schema:
    if rule is None:
        return {"type": "string"}
    if not isinstance(rule, Values):
        return {"type": "string", "pattern": f"^({rule.pattern})$"}
    if rule.most is not None:
        return {"type": "integer", "minimum": rule.least, "maximum": rule.most}
    one: Schema = {"enum": list(rule.values)} if rule.values else {"type": "string", "pattern": f"^({rule.pattern})$"}
    return {"type": "array", "items": one, "minItems": 1} if rule.is_list else one
