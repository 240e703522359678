"""The edge's view of the route data: what start-up refuses, and what a query may carry."""

import pytest

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.catalogue import Route, check_query, checked
from services.edge.domain.refusal import Refusal
from services.edge.entry.surfaces.gateway import Gateway
from tests.support.edge import a_route


def test_the_gateway_serves_all_sixty_calls_and_one_alias() -> None:
    routes = checked(Gateway().routes())
    calls = [route.call for route in routes if route.call]
    assert len(calls) == 61
    assert set(calls) == set(catalogue())
    assert {route.cost_credits for route in routes if route.call in {"messages_send", "payouts_read_stats"}} == {2}


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


@pytest.mark.parametrize("query", ["", "page=1", "page=2&size=50", "filter=unread&filter=online", "smartListIds[]=a", "search=%20x&sortBy=online_now", "cursor=", "&page=1&"])  # fmt: skip
def test_allowed_queries(query: str) -> None:
    check_query(chats(), query)


@pytest.mark.parametrize("query", ["x=1", "page=0", "page=-1", "page=1.5", "size=0", "size=51", "sortBy=best", "Page=1", "pa%67e=x", "page=%C3%BC", "page=\udcff"])  # fmt: skip
def test_refused_queries_name_the_parameter(query: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_query(chats(), query)
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.public.startswith("query")


def chats() -> Route:
    return next(route for route in Gateway().routes() if route.name == "chats_list")
