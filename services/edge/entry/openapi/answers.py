"""Everything a route can answer: which codes apply to it, and the responses with their headers and bodies."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from libs.common.contracts.takedowns import Submission
from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.catalogue import Route
from services.edge.domain.own_route import DEADLINE_MS, OwnRoute
from services.edge.domain.refusal import CODES, Refusal
from services.edge.entry.answers import REPLAYED_HEADER
from services.edge.entry.problems import PROBLEM_TYPE
from services.edge.entry.surface import Schema, Surface
from services.edge.entry.versions import NEXT_HEADERS, VERSION_HEADERS

Applies = Callable[[Route], bool]


def is_open(route: Route) -> bool:
    """Whether everybody may ask, without a key."""
    return route.permission is None


def _always(_: Route) -> bool:
    return True


def _never(_: Route) -> bool:
    return False


def _keyed(route: Route) -> bool:
    return not is_open(route)


def _call(route: Route) -> bool:
    return bool(route.call)


def _keyed_unsafe(route: Route) -> bool:
    return _keyed(route) and route.is_unsafe


def _own_unsafe(route: Route) -> bool:
    return isinstance(route, OwnRoute) and route.is_unsafe


def _own_with_objects(route: Route) -> bool:
    """Names something of ours, in its path or in its body."""
    return isinstance(route, OwnRoute) and ("{" in route.path or route.takes_body)


def _of_a_model(route: Route) -> bool:
    return _call(route) or "{model_id}" in route.path


def _names(route: Route, parameter: str) -> bool:
    """In its path or in its query."""
    return f"{{{parameter}}}" in route.path or parameter in route.query


def _asks_a_platform(route: Route) -> bool:
    signs_in = isinstance(route, OwnRoute) and "/models" in route.path and route.deadline_ms > DEADLINE_MS
    return _call(route) or signs_in


def _submits_urls(route: Route) -> bool:
    return isinstance(route, OwnRoute) and route.body is Submission


def _needs_a_subscription(route: Route) -> bool:
    return _call(route) or route.name == "subscription_update"  # there must be one to change


def _takes_credits(route: Route) -> bool:
    return route.cost_credits > 0 or _submits_urls(route)


def _asks_a_service(route: Route) -> bool:
    return _call(route) or (isinstance(route, OwnRoute) and route.answer is None)


# Where each code can come from. A test holds that every code of the edge is here.
APPLIES: Final[Mapping[str, Applies]] = {
    "INVALID_REQUEST": _always,
    "MULTIPLE_CREDENTIALS": _keyed,
    "VERSION_REQUIRED": lambda route: route.requires_version,
    "UNSUPPORTED_VERSION": _keyed,
    "UPSTREAM_REJECTED": _call,
    "NO_API_KEY": _keyed,
    "INVALID_API_KEY": _keyed,
    "NO_SUBSCRIPTION": lambda route: _needs_a_subscription(route) or _submits_urls(route),  # there: credits are frozen
    "SUBSCRIPTION_PAST_DUE": _needs_a_subscription,
    "INSUFFICIENT_CREDITS": _takes_credits,
    "PERMISSION_DENIED": _keyed,
    "SCOPE_MISSING": _call,
    "HTTPS_REQUIRED": _always,
    "ORGANIZATION_SUSPENDED": _keyed,
    "NOT_ENABLED": _keyed,
    "READ_ONLY": _keyed_unsafe,
    "UPSTREAM_FORBIDDEN": _call,
    "NOT_FOUND": lambda route: _own_with_objects(route) or "{" in route.path,
    "MODEL_NOT_FOUND": _of_a_model,
    "CREATOR_NOT_FOUND": lambda route: _submits_urls(route) or _names(route, "creator_id"),
    "BATCH_NOT_FOUND": lambda route: _names(route, "batch_id"),
    "LINK_GONE": _never,  # of the pages at /connect
    "ROUTE_NOT_SUPPORTED": _call,
    "UPSTREAM_NOT_FOUND": _call,
    "METHOD_NOT_ALLOWED": _never,  # the answer to what is no operation
    "CONFLICT": _own_unsafe,
    "IDEMPOTENCY_IN_PROGRESS": _keyed_unsafe,
    "VERSION_SUNSET": _keyed,
    "BODY_TOO_LARGE": _keyed,
    "UNSUPPORTED_MEDIA_TYPE": lambda route: _keyed(route) and route.takes_body,
    "EXPECTATION_FAILED": _always,
    "IDEMPOTENCY_KEY_REUSED": _keyed_unsafe,
    "SYNC_LOST": _call,
    "MODEL_NOT_CONNECTED": _call,
    "RATE_LIMIT_EXCEEDED": _keyed,
    "TOO_MANY_FAILED_AUTH": _keyed,
    "INTERNAL_ERROR": _always,
    "OF_API_ERROR": _asks_a_platform,
    "UNAVAILABLE": _keyed,
    "UPSTREAM_RATE_LIMITED": _asks_a_platform,
    "UPSTREAM_TIMEOUT": _asks_a_service,
    "OUTCOME_UNKNOWN": lambda route: _asks_a_service(route) and not route.may_repeat,
}
_ALSO: Final = {"UPSTREAM_REJECTED": (409,)}  # a code's other statuses: what the platform said itself

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_EVERYWHERE: Final = ("X-Request-Id", "X-Content-Type-Options", "Strict-Transport-Security")
_ANSWERED: Final = (*_EVERYWHERE, "Cache-Control")
_HEADROOM: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_END_OF_VERSION: Final = ("Sunset", "Link", *NEXT_HEADERS)
_LIFE_OF_VERSION: Final = ("Deprecation", *_END_OF_VERSION)
_ON_ERRORS: Final = ".on-errors"  # the same header, where it comes only if the caller was known by then
_TEXTS: Final[dict[str, tuple[str, Schema]]] = {
    "X-Request-Id": ("Names this request in our logs.", {"type": "string", "format": "uuid"}),
    **dict.fromkeys(VERSION_HEADERS, ("The version the answer is in.", {"enum": list(API_VERSIONS)})),
    "Deprecation": ("Since when the version is deprecated (RFC 9745).", {"type": "string", "pattern": "^@[0-9]+$"}),
    "Sunset": ("From when on the version is answered with 410 (RFC 8594).", _TEXT),
    "Link": ("What changed, and the document of the version to move to.", _TEXT),
    **dict.fromkeys(NEXT_HEADERS, ("The version to move to.", {"enum": list(API_VERSIONS)})),
    "X-RateLimit-Limit": (
        "Capacity of the key's window, else of the organization's minute; on a 429 of the window that refused.",
        _COUNT,
    ),
    "X-RateLimit-Remaining": ("What is left of it.", _COUNT),
    "X-RateLimit-Reset": ("When it is full again, in Unix seconds.", _COUNT),
    "Retry-After": ("Whole seconds to wait; never too early.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("How to authenticate.", _TEXT),
    REPLAYED_HEADER: ("The stored answer to an earlier request with this Idempotency-Key.", {"const": "true"}),
    "Content-Disposition": ("The file's name.", _TEXT),
    "ETag": ("Of these bytes; send it back in If-None-Match.", _TEXT),
    "Cache-Control": ("Answers are not to be kept.", {"const": "no-store"}),
    "X-Content-Type-Options": ("The type is as said.", {"const": "nosniff"}),
    "Strict-Transport-Security": ("HTTPS only.", _TEXT),
}


def shared_headers(surface: Surface) -> dict[str, dict[str, Any]]:
    """The headers of answers, to be referred to; those of callers that are known twice, for errors may come before that."""
    known = _known_caller(surface)
    foreign = set(VERSION_HEADERS) - set(surface.version_headers)
    texts = {name: said for name, said in _TEXTS.items() if name not in foreign}
    texts |= {name + _ON_ERRORS: _TEXTS[name] for name in known}
    optional = {REPLAYED_HEADER, *_LIFE_OF_VERSION, *(name + _ON_ERRORS for name in known)}
    return {
        name: {"description": text, "required": name not in optional, "schema": schema}
        for name, (text, schema) in texts.items()
    }


def _known_caller(surface: Surface) -> tuple[str, ...]:
    return (*surface.version_headers, *_HEADROOM)


def codes_of(surface: Surface, route: Route) -> dict[int, tuple[str, ...]]:
    """Status -> the codes of all errors that `route` can answer, by status, as `surface` says them."""
    found: dict[int, list[str]] = {}
    for code, applies in APPLIES.items():
        if applies(route):
            said = surface.said(Refusal(code))
            for status in (said.status, *_ALSO.get(code, ())):
                if said.code not in found.setdefault(status, []):
                    found[status].append(said.code)
    return {status: tuple(found[status]) for status in sorted(found)}


def success(
    surface: Surface, schema: Schema | None, text: str, *, needs_no_key: bool = False, may_change: bool = False
) -> dict[str, Any]:  # fmt: skip
    """A 2xx with a body of `schema`; None: without one."""
    names = _ANSWERED if needs_no_key else (*_ANSWERED, *_known_caller(surface), *_LIFE_OF_VERSION)
    replayed = (REPLAYED_HEADER,) if may_change else ()
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": text, "headers": _headers((*names, *replayed)), **content}


def file(surface: Surface) -> dict[str, Any]:
    """A 200 that is a file of any length, in the format asked for."""
    lines = {"type": "string", "description": "One object a line: `Head`, each `Seal` with its `Transfer`s, `End`."}
    table = {"type": "string", "description": "The same as a table."}
    return {
        "description": "The file, in chunks. Without its last line (`kind` = `end`) it is not whole.",
        "headers": _headers((*_ANSWERED, *_known_caller(surface), *_LIFE_OF_VERSION, "Content-Disposition")),
        "content": {"application/x-ndjson": {"schema": lines}, "text/csv": {"schema": table}},
    }


def this_document() -> dict[str, Any]:
    """The answers of the route that serves the document itself, beside errors."""
    whole = {"application/json": {"schema": {"type": "object", "required": ["openapi", "info", "paths"]}}}
    headers = _headers((*_EVERYWHERE, "ETag"))
    return {
        "200": {"description": "This document.", "headers": headers, "content": whole},
        "304": {"description": "You have it already: `If-None-Match` named its ETag.", "headers": headers},
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name.removesuffix(_ON_ERRORS): {"$ref": f"#/components/headers/{name}"} for name in names}


def failure(surface: Surface, status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    """An error of `status` in the surface's own shape, or as problem details."""
    plain = surface.failure_schema(codes)
    names = list(_ANSWERED)
    if status in {429, 503}:
        names.append("Retry-After")
    if status == 401:
        names.append("WWW-Authenticate")
    elif status != 417:
        names += [name + _ON_ERRORS for name in _known_caller(surface)]
        names += _END_OF_VERSION if status == 410 else _LIFE_OF_VERSION
    code = {"description": "The stable code.", "required": True, "schema": {"enum": list(codes)}}
    return {
        "description": "\n".join(f"- `{code}`: {CODES[code][1]}" for code in codes),
        "headers": {**_headers(names), "X-Error-Code": code},
        "content": {
            "application/json": {"schema": plain, "examples": {code: _example(plain, code) for code in codes}},
            PROBLEM_TYPE: {"schema": _problem(plain, status)},
        },
    }


def _example(plain: Schema, code: str) -> dict[str, Any]:
    whole = {"error": CODES[code][1], "code": code, "required": 2, "balance": 1, "retryAfterSeconds": 30}
    whole |= {"message": CODES[code][1], "nextVersion": API_VERSIONS[-1]}
    return {"value": {name: whole[name] for name in plain["required"]}}


def _problem(plain: Schema, status: int) -> Schema:
    """RFC 9457: its members, and before them those of the surface's own shape."""
    own: dict[str, Schema] = {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"const": status},
        "detail": {"type": "string"},
    }
    return {**plain, "properties": {**own, **plain["properties"]}, "required": [*own, *plain["required"]]}
