"""The committed OpenAPI documents are valid, are what the edge serves, and say of every route what the catalogue says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.common.contracts.catalogue import catalogue
from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.catalogue import Route
from services.edge.domain.own import own_routes
from services.edge.domain.refusal import CODES
from services.edge.entry.openapi import bodies, words
from services.edge.entry.openapi.answers import APPLIES, codes_of
from services.edge.entry.openapi.document import printed, served
from services.edge.entry.openapi.operations import operation, summary_of
from services.edge.entry.surface import Surface
from services.edge.entry.surfaces import SURFACES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {surface.name: json.loads(served(surface)) for surface in SURFACES}
ROUTES = [(surface, route) for surface in SURFACES for route in surface.routes()]
STANDS_FOR = {"<uuid>": "0191f3a4-7a3b-7c1d-8e2f-0a1b2c3d4e5f", "<unix seconds>": "1790000000", "<seconds>": "1"}

each_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
each_route = pytest.mark.parametrize(
    ("surface", "route"), ROUTES, ids=[f"{surface.name} {route.name}" for surface, route in ROUTES]
)


def said_of(surface: Surface, route: Route) -> dict[str, Any]:
    said = DOCUMENTS[surface.name]["paths"][route.path][route.method.lower()]
    assert isinstance(said, dict)
    return said


@each_surface
def test_the_committed_document_is_what_the_edge_serves(surface: Surface) -> None:
    committed = (ROOT / f"docs/openapi/{surface.name}.json").read_text(encoding="utf-8")
    assert committed == printed(surface), "run: make openapi"
    assert json.loads(committed) == DOCUMENTS[surface.name]


def test_every_surface_has_a_committed_document_and_nothing_else_is_there() -> None:
    assert {path.stem for path in (ROOT / "docs/openapi").iterdir()} == set(DOCUMENTS)


@each_surface
def test_it_is_openapi_3_1(surface: Surface) -> None:
    document = DOCUMENTS[surface.name]
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()
    broken = {**document, "paths": {"no-slash": {}}}
    assert not OpenAPIV31SpecValidator(broken).is_valid()


@each_route
def test_R042_every_route_names_its_permission_and_its_price(surface: Surface, route: Route) -> None:
    said = said_of(surface, route)
    assert said["operationId"] == route.name
    assert said.get("x-permission") == route.permission
    assert said["x-credits"] == route.cost_credits
    assert route.permission is None or f"`{route.permission}`" in said["description"]
    if route.call:
        assert said["x-scopes"] == sorted(catalogue()[route.call].scopes)
    assert (said.get("security") == []) is (route.permission is None)


@each_route
def test_every_parameter_and_every_answer_is_there(surface: Surface, route: Route) -> None:
    said = said_of(surface, route)
    names = {(each.get("in"), each.get("name")) for each in said["parameters"]}
    assert {name for where, name in names if where == "path"} == set(re.findall(r"\{(\w+)\}", route.path))
    assert {name for where, name in names if where == "query"} == set(route.query)
    keyed = {"$ref": "#/components/parameters/IdempotencyKey"} in said["parameters"]
    assert keyed is (route.permission is not None and route.is_unsafe)
    assert keyed is ("422" in said["responses"])
    errors = {int(status) for status in said["responses"] if not status.startswith(("2", "3"))}
    assert errors == set(codes_of(surface, route))
    if route.permission is not None:
        assert {400, 401, 403, 413, 417, 429, 500, 503} <= errors
    if route.cost_credits:
        assert {402, 404, 424, 502, 504} <= errors


def test_every_code_of_the_edge_is_known_to_the_documents() -> None:
    assert set(APPLIES) == set(CODES)


def test_no_word_is_left_over() -> None:
    """A text, or a body, of a route that went is found here; one that is missing breaks the document itself."""
    names = {route.call or route.name for _, route in ROUTES}
    assert set(words.SUMMARIES) == names
    assert set(bodies.BODIES) <= set(catalogue())
    tags = {tag["name"] for document in DOCUMENTS.values() for tag in document["tags"]}
    assert set(words.TAGS) == tags
    parameters = {each["name"] for one in each_operation() for each in one["parameters"] if "name" in each}
    assert set(words.PARAMETERS) <= parameters


def test_a_route_without_words_does_not_get_into_a_document() -> None:
    route = Route(name="new_thing", method="GET", path="/api/new", permission="api_new_thing")
    with pytest.raises(KeyError, match="new_thing"):
        operation(SURFACES[0], route, {}, data={})
    assert all(summary_of(route) for _, route in ROUTES)


@each_surface
def test_the_examples_are_as_the_schemas_say(surface: Surface) -> None:
    document = DOCUMENTS[surface.name]
    for response in document["components"]["responses"].values():
        for content in response.get("content", {}).values():
            for example in content.get("examples", {}).values():
                check(document, content["schema"], example["value"])
    for said in (one for methods in document["paths"].values() for one in methods.values()):
        content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            check(document, content["schema"], content["example"])


@pytest.mark.parametrize(
    "surface", [one for one in SURFACES if any(route.call for route in one.routes())], ids=lambda one: one.name
)
def test_the_committed_refusals_are_as_the_document_says(surface: Surface) -> None:
    """`answers/` holds what the edge really answers, for every reason there is to refuse a message."""
    document = DOCUMENTS[surface.name]
    (route,) = (route for route in surface.routes() if route.name == "messages_send")
    responses = said_of(surface, route)["responses"]
    refusals = list(golden(surface.name))
    assert len(refusals) > 40
    for name, status, headers, body in refusals:
        if headers["x-error-code"] in {"METHOD_NOT_ALLOWED", "NOT_FOUND"}:
            continue  # no operation was meant
        assert str(status) in responses, name
        response = resolved(document, responses[str(status)])
        check(document, response["content"]["application/json"]["schema"], body)
        for header, said in response["headers"].items():
            whole = resolved(document, said)
            value = headers.get(header.lower())
            assert value is not None or not whole["required"], f"{name}: {header} is missing"
            if value is not None:
                is_number = whole["schema"].get("type") == "integer"
                check(document, whole["schema"], int(value) if is_number else value)


def test_own_routes_describe_their_bodies_and_data() -> None:
    schemas = DOCUMENTS["gateway"]["components"]["schemas"]
    for route in own_routes():
        if route.body is not None:
            assert route.body.__name__ in schemas
    order = schemas["KeyOrder"]
    assert set(order["required"]) == {"label", "role"}
    assert order["properties"]["label"]["maxLength"] == 100


@each_surface
@pytest.mark.parametrize("version", API_VERSIONS)
def test_every_version_has_its_document(surface: Surface, version: str) -> None:
    document = json.loads(served(surface, version))
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["version"] == version
    assert document["paths"] == DOCUMENTS[surface.name]["paths"], "a version adds or removes no route so far"


def test_a_document_differs_from_the_newest_where_a_change_says_so_and_nowhere_else() -> None:
    newest = DOCUMENTS["gateway"]["components"]
    oldest = json.loads(served(SURFACES[0], API_VERSIONS[0]))["components"]
    assert oldest["responses"] == newest["responses"]
    differing = {name for name, schema in newest["schemas"].items() if oldest["schemas"][name] != schema}
    assert differing == {"CallerLimits", "Rotation"}
    assert set(oldest["schemas"]["Rotation"]["properties"]) == {"overlap_hours", "expires_at"}
    assert oldest["schemas"]["CallerLimits"]["properties"]["key_per_minute"] == {"type": "integer"}


def golden(surface: str) -> Iterator[tuple[str, int, dict[str, str], Any]]:
    text = (Path(__file__).parent / f"answers/{surface}.txt").read_text(encoding="utf-8")
    for block in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        head, body = block.strip().split("\n\n")
        name, status, *lines = head.split("\n")
        pairs = (line.split(": ", 1) for line in lines)
        yield name, int(status), {key: STANDS_FOR.get(value, value) for key, value in pairs}, json.loads(body)


def each_operation() -> Iterator[dict[str, Any]]:
    for document in DOCUMENTS.values():
        for methods in document["paths"].values():
            yield from methods.values()


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    for name in node.get("$ref", "#").removeprefix("#").split("/")[1:]:
        found = found[name]
    return found if "$ref" in node else node


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)
