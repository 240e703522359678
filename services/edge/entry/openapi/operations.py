"""One route as an OpenAPI operation: what it is for, who may call it, what it costs, what it takes and answers."""

from typing import Any, Final

from libs.common.contracts.catalogue import PROVIDERS, CatalogueRoute, RetryClass, catalogue
from services.edge.domain.catalogue import Route
from services.edge.domain.own_route import OwnRoute
from services.edge.entry.openapi.answers import file, is_open, success, this_document
from services.edge.entry.openapi.bodies import BODIES
from services.edge.entry.openapi.parameters import parameters_of
from services.edge.entry.openapi.words import SUMMARIES
from services.edge.entry.surface import DOCUMENT_ROUTE, Schema, Surface

REF: Final = "#/components/schemas/{name}"
_RETRIES: Final = {
    RetryClass.READ: "A read: we repeat it towards the platform if its answer is lost.",
    RetryClass.IDEMPOTENT: "May be repeated: a second time changes nothing more.",
    RetryClass.NEVER: "Reaches the platform at most once; an answer that is lost is a 504 `OUTCOME_UNKNOWN`, free.",
}
_READ: Final = "Answered"  # names of responses
_WRITTEN: Final = "AnsweredChange"
_EMPTY: Final = "AnsweredWithoutBody"
_RETRY_WORDS: Final = {RetryClass.READ: "read", RetryClass.IDEMPOTENT: "idempotent", RetryClass.NEVER: "never"}


def tag_of(surface: Surface, route: Route) -> str:
    """The subject: the first word of the path, of a call to a platform below the model, wherever a surface serves it."""
    if is_open(route):
        return "about"
    path = catalogue()[route.call].path if route.call else route.path.removeprefix(surface.prefix)
    return path.split("/")[1]


def operation(surface: Surface, route: Route, errors: dict[str, Any], *, data: Schema) -> dict[str, Any]:
    """The operation of `route`. `errors` are its error responses by status, `data` the schema of what it answers with."""
    said: dict[str, Any] = {
        "operationId": route.name,
        "tags": [tag_of(surface, route)],
        "summary": summary_of(route),
        "description": "\n\n".join(_paragraphs(route)),
        **_extensions(route),
        "parameters": parameters_of(route),
    }
    if route.takes_body and (body := _request_body(route)):
        said["requestBody"] = body
    said["responses"] = {**_success(surface, route, data), **errors}
    if is_open(route):
        said["security"] = []
    return said


def summary_of(route: Route) -> str:
    """What it does, in a few words. KeyError if nobody has said so."""
    return SUMMARIES[route.call or route.name]


def _paragraphs(route: Route) -> list[str]:
    if is_open(route):
        return ["Needs no key."]
    found = [f"Permission: `{route.permission}`. Cost: {price_of(route)}."]
    if not route.call:
        return found
    call = catalogue()[route.call]
    providers = _providers(call)
    found.append(_RETRIES[call.retry])
    if len(providers) < len(PROVIDERS):
        found.append(
            f"Served for models of provider {', '.join(providers)}; elsewhere 404 `ROUTE_NOT_SUPPORTED`, free."
        )
    found.append(f"Personal keys need: {', '.join(f'`{scope}`' for scope in sorted(call.scopes))}.")
    return found


def price_of(route: Route) -> str:
    """The price in words."""
    match route.cost_credits:
        case 0:
            return "free"
        case 1:
            return "1 credit for a 2xx, errors are free"
        case many:
            return f"{many} credits for a 2xx, errors are free"


def _extensions(route: Route) -> dict[str, Any]:
    if is_open(route):
        return {"x-credits": 0}
    own = RetryClass.READ if route.method == "GET" else RetryClass.IDEMPOTENT
    retry = route.retry if route.call else own if route.may_repeat else RetryClass.NEVER
    found: dict[str, Any] = {
        "x-permission": route.permission,
        "x-credits": route.cost_credits,
        "x-retry": _RETRY_WORDS[retry],
    }
    if route.call:
        call = catalogue()[route.call]
        found |= {"x-scopes": sorted(call.scopes), "x-providers": list(_providers(call))}
    return found


def _providers(call: CatalogueRoute) -> tuple[str, ...]:
    return tuple(provider for provider in PROVIDERS if call.upstream(provider) is not None)


def _request_body(route: Route) -> dict[str, Any] | None:
    if isinstance(route, OwnRoute):
        if route.body is None:
            return None
        shown: dict[str, Any] = {"schema": {"$ref": REF.format(name=route.body.__name__)}}
        if route.example is not None:
            shown["example"] = route.example
        return {"required": True, "content": {"application/json": shown}}
    known = BODIES.get(route.call)
    if known is None:
        return {"description": "JSON, passed on byte for byte.", "content": {"application/json": {"schema": {}}}}
    schema, example = known
    return {
        "description": "JSON, passed on byte for byte; members that are not named here are the platform's business.",
        "required": "required" in schema,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _success(surface: Surface, route: Route, data: Schema) -> dict[str, Any]:
    if is_open(route):
        if route.name == DOCUMENT_ROUTE:
            return this_document()
        return {"200": success(surface, {"const": {"status": "ok"}}, "The gateway answers.", needs_no_key=True)}
    if isinstance(route, OwnRoute):
        if route.export is not None:
            return {"200": file(surface)}
        status, text = (200, "Done.") if route.status == 204 else (route.status, "As asked.")
        answer = success(surface, surface.success_schema(data), text, may_change=route.is_unsafe)
        return {str(each): answer for each in (status, *route.other_statuses)}
    found = {"2XX": {"$ref": f"#/components/responses/{_WRITTEN if route.is_unsafe else _READ}"}}
    if not surface.wraps and route.is_unsafe:
        found["204"] = {"$ref": f"#/components/responses/{_EMPTY}"}
    return found


def call_responses(surface: Surface) -> dict[str, Any]:
    """The 2xx of all calls to platforms, by name."""
    text = "The platform's own status and its bytes untouched."
    if surface.wraps:
        text = "The platform's own status and, in `data`, its bytes untouched; `null` where it sent none."
    schema = surface.success_schema({})
    found = {_READ: success(surface, schema, text), _WRITTEN: success(surface, schema, text, may_change=True)}
    if not surface.wraps:
        found[_EMPTY] = success(surface, None, "Done; the platform sent no body.", may_change=True)
    return found
