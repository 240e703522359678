"""Upstream paths of all 60 routes on all providers."""

import re

import pytest

from libs.common.contracts.catalogue import PROVIDERS, CatalogueRoute, catalogue
from services.sessions.domain.errors import InvalidRequest, RouteNotSupported
from services.sessions.domain.upstream_call import upstream_target

PARAMETERS = {"fan_id": "7", "part": "3", "upload_id": "a.b~c-d_e"}
ROUTES = [(route, provider) for route in catalogue().values() for provider in PROVIDERS]


def params_of(route: CatalogueRoute) -> dict[str, str]:
    return {name: PARAMETERS.get(name, "00000000-0000-4000-8000-000000000001") for name in route.path_params}


@pytest.mark.parametrize(("route", "provider"), ROUTES, ids=[f"{route.name}-{provider}" for route, provider in ROUTES])
def test_a_route_has_the_catalogues_path_or_none(route: CatalogueRoute, provider: str) -> None:
    template = {
        "fanvue": route.fanvue_upstream,
        "session": route.session_upstream,
        "sandbox": route.session_upstream or route.fanvue_upstream,
    }[provider]
    if template is None:
        with pytest.raises(RouteNotSupported):
            upstream_target(route, provider, params_of(route), "")
        return
    target = upstream_target(route, provider, params_of(route), "page=1&q=%7B")
    expected = re.sub(r"\{(\w+)\}", lambda match: params_of(route)[match[1]], template)
    assert target == f"{expected}?page=1&q=%7B"


def test_46_routes_on_fanvue_49_on_session_60_on_the_sandbox() -> None:
    def served(provider: str) -> int:
        return sum(route.upstream(provider) is not None for route in catalogue().values())

    assert [served(provider) for provider in PROVIDERS] == [46, 49, 60]


@pytest.mark.parametrize("value", ["..", "../x", "7/8", "7?x", "", "7#", "%2e%2e", "٣", "1" * 21, "7\r\nX: y", " 7"])
def test_a_parameter_cannot_leave_its_place(value: str) -> None:
    with pytest.raises(InvalidRequest):
        upstream_target(catalogue()["chats_read"], "sandbox", {"fan_id": value}, "")


@pytest.mark.parametrize("value", [".", ".."])
def test_an_upload_id_is_no_way_up(value: str) -> None:
    with pytest.raises(InvalidRequest):
        upstream_target(catalogue()["media_upload_signed_finish"], "sandbox", {"upload_id": value}, "")


@pytest.mark.parametrize("query", ["a b", "a#b", "a\r\nHost: x", "ä", "\x00", "a\x7f"])
def test_a_query_cannot_end_the_request_line(query: str) -> None:
    with pytest.raises(InvalidRequest):
        upstream_target(catalogue()["chats_list"], "sandbox", {}, query)


def test_a_message_without_its_chat_can_only_be_deleted_where_the_platform_needs_none() -> None:
    route = catalogue()["messages_delete"]
    assert upstream_target(route, "session", {"message_id": "5"}, "") == "/messages/5"
    with pytest.raises(RouteNotSupported):
        upstream_target(route, "fanvue", {"message_id": "5"}, "")
