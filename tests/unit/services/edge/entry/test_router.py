"""Paths to routes: typed parameters, no collisions, nothing that climbs."""

import pytest

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal
from services.edge.entry.router import Router
from services.edge.entry.surfaces.gateway import Gateway
from services.edge.entry.surfaces.platform import Platform
from tests.support.edge import a_route

ROUTER = Router(Gateway().routes())
SAMPLES = {"upload_id": "a.b~c-d_1", "part": "99999"}


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_route_of_the_catalogue_is_found_under_its_own_path(name: str) -> None:
    call = catalogue()[name]
    path = call.path
    for parameter in call.path_params:
        path = path.replace(f"{{{parameter}}}", SAMPLES.get(parameter, "12345"))
    route, parameters = ROUTER.find(call.method, f"/api/models/some-model{path}")
    assert route.name == name
    assert parameters == {"model_id": "some-model"} | {one: SAMPLES.get(one, "12345") for one in call.path_params}


def found(method: str, path: str) -> str:
    try:
        route, _ = ROUTER.find(method, path)
    except Refusal as refusal:
        return refusal.code
    return route.name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/health", "health"),
        ("/api/models/x/chats/unread", "chats_read_unread"),
        ("/api/models/x/chats/0191f3a4-7a3b-7c1d-8e2f-0a1b2c3d4e5f", "chats_read"),
        ("/api/models/x/lists/smart", "user_lists_list_smart"),
        ("/api/models/x/fans/info", "fans_read_info"),
        ("/api/models/x/c%68ats", "chats_list"),
        ("/api/models/health/chats", "chats_list"),
        ("/api/models/x/chats/123456789012345678901", "NOT_FOUND"),
        ("/api/models/x/chats/1%2f2", "NOT_FOUND"),
        ("/api/models/../chats", "NOT_FOUND"),
        ("/api/models/x/media/uploads/%2e%2e/parts/1/url", "NOT_FOUND"),
        ("/api/models/x/media/uploads/u/parts/0/url", "NOT_FOUND"),
        ("/api/models/x/media/uploads/u/parts/100000/url", "NOT_FOUND"),
        ("/api/models/x", "models_read"),
        ("/api/models", "models_list"),
        ("api/health", "NOT_FOUND"),
        ("", "NOT_FOUND"),
        ("*", "NOT_FOUND"),
        ("/" * 5_000, "NOT_FOUND"),
    ],
)
def test_paths(path: str, name: str) -> None:
    assert found("GET", path) == name


def test_405_names_all_methods_of_the_path() -> None:
    with pytest.raises(Refusal) as caught:
        ROUTER.find("PUT", "/api/models/x/chats/1")
    assert (caught.value.code, caught.value.allow) == ("METHOD_NOT_ALLOWED", "GET, PATCH")


def test_the_alias_of_delete_message() -> None:
    route, parameters = ROUTER.find("DELETE", "/api/models/x/messages/7")
    assert (route.call, parameters) == ("messages_delete", {"model_id": "x", "message_id": "7"})


@pytest.mark.parametrize(
    "routes",
    [
        (a_route(), a_route(name="again")),
        (a_route(path="/a/{fan_id}"), a_route(name="b", path="/a/{message_id}")),
        (a_route(path="/a/{fan_id}"), a_route(name="b", path="/a/12345")),
        (a_route(path="/a/12345"), a_route(name="b", path="/a/{fan_id}")),
        (a_route(path="/a/{upload_id}"), a_route(name="b", path="/a/{fan_id}")),
    ],
)
def test_start_up_refuses_routes_that_one_request_could_mean(routes: tuple[Route, ...]) -> None:
    with pytest.raises(ValueError, match=r"^(b|again):"):
        Router(routes)


def test_a_literal_wins_over_a_parameter_that_takes_anything() -> None:
    router = Router((a_route(path="/v1/{account}/chats"), a_route(name="health", path="/v1/health")))
    assert router.find("GET", "/v1/health")[0].name == "health"
    assert router.find("GET", "/v1/health/chats")[0].name == "chats_list"


def test_a_literal_beside_any_segment_is_never_taken_for_an_id() -> None:
    router = Router(Platform().routes())
    assert router.find("GET", "/api/platforms/creators/stats")[0].name == "creators_read_stats"
    assert router.find("PATCH", "/api/platforms/creators/creator_abc123")[0].name == "creators_update"
    for method in ("PATCH", "DELETE"):
        with pytest.raises(Refusal) as caught:
            router.find(method, "/api/platforms/creators/stats")
        assert (caught.value.status, caught.value.allow) == (405, "GET")
