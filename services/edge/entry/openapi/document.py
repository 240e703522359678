"""A surface's whole document. Made once at start and served as bytes; a committed copy of each is compared in the tests."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from libs.common.contracts.schemas import schemas_of
from libs.common.contracts.versions import NEWEST
from services.edge.domain import changes
from services.edge.domain.catalogue import Route
from services.edge.domain.own_route import OwnRoute
from services.edge.entry.openapi.answers import codes_of, failure, shared_headers
from services.edge.entry.openapi.operations import REF, call_responses, operation, tag_of
from services.edge.entry.openapi.parameters import shared_parameters
from services.edge.entry.openapi.words import ABOUT, TAGS
from services.edge.entry.surface import Schema, Surface

_OPENAPI: Final = "3.1.0"


def document(surface: Surface, version: str = NEWEST) -> dict[str, Any]:
    """OpenAPI 3.1 of all that `surface` serves in `version`. KeyError for a route without a summary, a tag without a description, a
    parameter or a struct that cannot be described.
    """
    routes = surface.routes()
    data = _Data(routes, version)
    errors = _Errors(surface)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        operations[route.method.lower()] = operation(surface, route, errors.of(route), data=data.of(route))
    return {
        "openapi": _OPENAPI,
        "info": {
            "title": f"Fangate: {surface.name}",
            "version": version,
            "summary": surface.title,
            "description": f"{surface.about}\n\n{ABOUT}",
        },
        "servers": [{"url": "/", "description": "Where this document was found."}],
        "security": _security(surface),
        "tags": [
            {"name": tag, "description": TAGS[tag]} for tag in dict.fromkeys(tag_of(surface, route) for route in routes)
        ],
        "paths": paths,
        "components": {
            "securitySchemes": _security_schemes(surface),
            "parameters": shared_parameters(surface),
            "headers": shared_headers(surface),
            "responses": {**call_responses(surface), **errors.responses},
            "schemas": {**surface.schemas, **data.schemas},
        },
    }


def served(surface: Surface, version: str = NEWEST) -> bytes:
    """The document as callers get it."""
    return orjson.dumps(document(surface, version))


def printed(surface: Surface) -> str:
    """The document as it is committed."""
    return orjson.dumps(document(surface), option=orjson.OPT_INDENT_2).decode() + "\n"


class _Data:
    """The structs of own routes as schemas."""

    def __init__(self, routes: Iterable[Route], version: str) -> None:
        own = [route for route in routes if isinstance(route, OwnRoute)]
        types = [type_ for route in own for type_ in (route.body, route.data) if type_ is not None]
        shown, schemas = schemas_of(types, ref=REF)
        self._of = dict(zip(types, shown, strict=True))
        self.schemas = changes.described(version, dict(sorted(schemas.items()))) if own else {}

    def of(self, route: Route) -> Schema:
        """The schema of the answer's `data`; `{}` where the platform decides."""
        if not isinstance(route, OwnRoute):
            return {}
        return {"type": "null"} if route.data is None else self._of[route.data]


class _Errors:
    """Error responses, one for each combination of status and codes; routes refer to them."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._names: dict[tuple[int, tuple[str, ...]], str] = {}
        self.responses: dict[str, Any] = {}

    def of(self, route: Route) -> dict[str, Any]:
        """Status -> reference to the response, for every error of `route`."""
        return {
            str(status): {"$ref": f"#/components/responses/{self._name(status, codes)}"}
            for status, codes in codes_of(self._surface, route).items()
        }

    def _name(self, status: int, codes: tuple[str, ...]) -> str:
        name = self._names.get((status, codes))
        if name is None:
            known = sum(status == other for other, _ in self._names)
            name = f"Error{status}" + (f"_{known + 1}" if known else "")
            self._names[status, codes] = name
            self.responses[name] = failure(self._surface, status, codes)
        return name


def _security_schemes(surface: Surface) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"type": "apiKey", "in": "header", "name": name, "description": "An API key."}
        for name in surface.key_headers
    }
    if surface.takes_bearer:
        found["Bearer"] = {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."}
    return found


def _security(surface: Surface) -> list[dict[str, list[str]]]:
    """One of them is enough; several with the same key are fine, differing keys are a 400."""
    return [{name: []} for name in _security_schemes(surface)]
