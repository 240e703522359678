"""The edge's view of the route data: what each surface serves, and what start-up refuses."""

import pytest

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import checked, route_limits, with_limits
from services.edge.entry.surfaces.gateway import Gateway
from services.edge.entry.surfaces.metric import Metric
from tests.support.edge import a_route


def test_the_gateway_serves_all_sixty_calls_and_one_alias() -> None:
    routes = checked(Gateway().routes())
    calls = [route.call for route in routes if route.call]
    assert len(calls) == 61
    assert set(calls) == set(catalogue())
    assert {route.cost_credits for route in routes if route.call in {"messages_send", "payouts_read_stats"}} == {2}


def test_the_metric_surface_serves_all_sixty_calls_and_the_aliases_of_the_catalogue() -> None:
    routes = {(route.method, route.path): route for route in checked(Metric().routes()) if route.call}
    for call in catalogue().values():
        paths = [call.path] if call.metric_alias is None else [call.path, call.metric_alias]
        for path in paths:
            route = routes.pop((call.method, f"/v1/{{account}}{path}"))
            assert (route.call, route.permission, route.cost_credits) == (
                call.name, call.permission, call.credits,
            )  # fmt: skip
    assert not routes


def test_R041_permissions_are_named_after_what_they_allow() -> None:
    permissions = {route.permission for route in Metric().routes()}
    assert {"api_chats_list", "api_messages_send", "api_tracking_links_create"} <= permissions


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"permission": None}, "permission"),
        ({"permission": ""}, "permission"),
        ({"cost_credits": -1}, "whole number"),
        ({"cost_credits": 1.5}, "whole number"),
        ({"cost_credits": True}, "whole number"),
    ],
)
def test_start_up_refuses(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        checked((a_route(**changes),))


def test_start_up_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match="two routes"):
        checked((a_route(), a_route(path="/elsewhere")))


def test_R153_the_operator_limits_single_routes() -> None:
    limits = route_limits(" messages_send=30, mass_messages_send=5 ")
    assert limits == {"messages_send": 30, "mass_messages_send": 5}
    by_name = {route.name: route for route in with_limits(Metric().routes(), limits)}
    assert (by_name["messages_send"].rate_class, by_name["messages_send"].key_per_minute) == ("messages_send", 30)
    assert (by_name["chats_list"].rate_class, by_name["chats_list"].key_per_minute) == ("", None)


@pytest.mark.parametrize("text", ["nothing=5", "messages_send", "messages_send=0", "messages_send=x", "messages_send=-1",
                                  "messages_send=1,messages_send=2"])  # fmt: skip
def test_limits_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="known call"):
        route_limits(text)
