"""The route catalogue keeps its promises (requirements, sections 9 and 10)."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from libs.common.contracts.catalogue import (
    PROVIDERS,
    CatalogueRoute,
    RetryClass,
    catalogue,
    parameter_pattern,
)

ROUTES = list(catalogue().values())
SCOPES = {f"{verb}:{thing}" for verb in ("read", "write")
          for thing in ("chat", "creator", "fan", "insights", "media", "post", "tracking_links", "agency")} | {"read:self"}  # fmt: skip
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)

# Our own routes below a model, on the surface where the catalogue is served at /api/models/{model_id}…
OWN_BELOW_A_MODEL = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/2fa"),
    ("POST", "/reconnect"),
    ("POST", "/disconnect"),
]
OWN_OF_A_SURFACE = [("GET", "/health")]  # /v1/health, /fanvue/health


def segments_meet(one: str, other: str) -> bool:
    """Whether some text fits both segments."""
    first, second = PLACEHOLDER.fullmatch(one), PLACEHOLDER.fullmatch(other)
    if first and second:
        return True
    if first:
        return parameter_pattern(first[1]).fullmatch(other) is not None
    if second:
        return parameter_pattern(second[1]).fullmatch(one) is not None
    return one == other


def collisions(routes: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Pairs of one method whose paths some request fits both of."""
    return [
        (method, one, other)
        for (method, one), (other_method, other) in itertools.combinations(routes, 2)
        if method == other_method
        and len(one.split("/")) == len(other.split("/"))
        and all(segments_meet(*pair) for pair in zip(one.split("/"), other.split("/"), strict=True))
    ]


def test_there_are_60_routes_of_the_documented_kinds() -> None:
    assert len(ROUTES) == 60
    assert Counter(route.retry for route in ROUTES) == {
        RetryClass.READ: 43,
        RetryClass.IDEMPOTENT: 8,
        RetryClass.NEVER: 9,
    }
    assert Counter(route.credits for route in ROUTES) == {1: 57, 2: 3}
    assert {route.name for route in ROUTES if route.credits == 2} == {
        "messages_send",
        "payouts_read_stats",
        "agency_messages_send",
    }


def test_providers_serve_as_many_routes_as_documented() -> None:
    served = {provider: sum(route.upstream(provider) is not None for route in ROUTES) for provider in PROVIDERS}
    assert served == {"fanvue": 46, "session": 49, "sandbox": 60}


def test_an_unknown_provider_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no such provider"):
        ROUTES[0].upstream("nobody")


@pytest.mark.parametrize("key", [
    lambda route: route.name, lambda route: route.permission, lambda route: (route.method, route.path),
])  # fmt: skip
def test_names_permissions_and_method_with_path_are_unique(key: Callable[[CatalogueRoute], object]) -> None:
    assert [item for item, count in Counter(map(key, ROUTES)).items() if count > 1] == []


@each_route
def test_a_route_is_well_formed(route: CatalogueRoute) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", route.name)
    assert route.permission == f"api_{route.name}"
    assert route.method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert route.credits >= 0
    for path in (route.path, route.metric_alias, route.fanvue_alias, route.fanvue_upstream, route.session_upstream):
        assert path is None or re.fullmatch(r"(/([a-z0-9-]+|\{[a-z_]+\}))+", path)


@each_route
def test_a_get_is_a_read_and_a_write_says_so_in_its_scopes(route: CatalogueRoute) -> None:
    if route.method == "GET":
        assert route.retry is RetryClass.READ
    assert route.scopes
    assert route.scopes <= SCOPES
    if route.retry is RetryClass.NEVER:
        assert any(scope.startswith("write:") for scope in route.scopes)


@each_route
def test_every_alias_and_upstream_is_filled_from_the_path(route: CatalogueRoute) -> None:
    assert len(set(route.path_params)) == len(route.path_params)
    for template in (route.metric_alias, route.fanvue_alias, route.fanvue_upstream, route.session_upstream):
        assert set(PLACEHOLDER.findall(template or "")) <= set(route.path_params)


@each_route
def test_a_route_is_served_by_a_provider_and_the_fanvue_surface_only_by_fanvue(route: CatalogueRoute) -> None:
    assert route.upstream("sandbox") is not None
    if route.fanvue_alias is not None:
        assert route.fanvue_upstream is not None


def test_no_two_routes_of_a_surface_can_take_the_same_request() -> None:
    gateway = [(route.method, route.path) for route in ROUTES] + OWN_BELOW_A_MODEL
    metric = [(route.method, route.metric_alias) for route in ROUTES if route.metric_alias] + OWN_OF_A_SURFACE
    fanvue = [(route.method, route.fanvue_alias) for route in ROUTES if route.fanvue_alias] + OWN_OF_A_SURFACE
    assert [collisions(surface) for surface in (gateway, metric, fanvue)] == [[], [], []]


def test_the_collision_check_finds_a_planted_one() -> None:
    assert collisions([("GET", "/chats/{fan_id}"), ("GET", "/chats/12")]) == [("GET", "/chats/{fan_id}", "/chats/12")]
    assert collisions([("GET", "/chats/{fan_id}"), ("POST", "/chats/12"), ("GET", "/chats/unread")]) == []


def test_no_two_upstream_calls_of_a_provider_are_the_same() -> None:
    for provider in PROVIDERS:
        calls = Counter((route.method, route.upstream(provider)) for route in ROUTES if route.upstream(provider))
        assert [call for call, count in calls.items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("fan_id", ["1", "12345678901234567890", "0198c0de-0000-7000-8000-00000000a11c"],
         ["", "unread", "1.5", "-1", "123456789012345678901", "../1", "1/2", "1\n", "٣"]),
        ("upload_id", ["a", "A-b.c_d~", "x" * 512], ["", "a/b", "x" * 513, "a b", "a%2F"]),
        ("part", ["1", "10000", "99999"], ["0", "01", "100000", "x", ""]),
    ],
)  # fmt: skip
def test_parameters_are_typed(name: str, good: list[str], bad: list[str]) -> None:
    pattern = parameter_pattern(name)
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []


def test_path_parameters_come_in_the_order_of_the_path() -> None:
    assert catalogue()["media_upload_read_part"].path_params == ("upload_id", "part")
    assert ROUTES[0].path_params == ()
