"""Own routes as data: what start-up refuses, and that every permission is one that auth can grant."""

import re
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.contracts.auth import Actor
from libs.common.ids import uuid7
from services.auth.domain.permission import OWN_PERMISSIONS
from services.edge.domain.catalogue import checked
from services.edge.domain.own import own_routes
from services.edge.domain.own_route import Asked, OwnRoute, checked_own
from services.edge.domain.refusal import Refusal
from services.edge.entry.router import Router
from services.edge.entry.surfaces.gateway import Gateway
from tests.support.edge import a_principal


def an_own_route(**changes: Any) -> OwnRoute:
    whole = OwnRoute(
        name="things_list", method="GET", path="/things", permission="api_things_list", data=dict, answer=lambda _: {}
    )
    return msgspec.structs.replace(whole, **changes)


def asked(**path: str) -> Asked:
    caller = a_principal()
    return Asked(caller=caller, by=Actor(key_id=caller.key_id), path=path, query={"limit": "5000", "offset": "3"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost_credits": 1},
        {"name": "chats_list"},
        {"permission": "api_chats_list"},
        {"call": "chats_list"},
        {"answer": None},
        {"command": lambda _: None},
        {"status": 202},
        {"status": 204},
        {"data": None},
        {"body": OwnRoute},
        {"status_of": lambda _: 200},
        {"other_statuses": (207,)},
        {"passes_body": True},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_R039_start_up_refuses_an_own_route_that_is_wrong(wrong: dict[str, Any]) -> None:
    checked_own([an_own_route()])
    with pytest.raises(ValueError, match=r"things_list|chats_list"):
        checked_own([an_own_route(**wrong)])


def test_start_up_refuses_one_without_a_permission_and_one_that_collides() -> None:
    with pytest.raises(ValueError, match="permission"):
        checked((an_own_route(permission=None),))
    with pytest.raises(ValueError, match="taken"):
        Router([*Gateway().routes(), an_own_route(path="/api/keys")])


def test_R041_every_permission_of_an_own_route_can_be_granted() -> None:
    assert {route.permission for route in own_routes()} <= OWN_PERMISSIONS
    assert all(re.fullmatch(r"api_[a-z_]+", str(route.permission)) for route in own_routes())


def test_own_routes_need_no_subscription_and_cost_nothing() -> None:
    assert not any(route.needs_subscription or route.cost_credits for route in own_routes())


@pytest.mark.parametrize(
    ("method", "is_repeatable", "may"), [("GET", False, True), ("DELETE", False, True), ("POST", False, False), ("POST", True, True)]
)  # fmt: skip
def test_only_a_post_may_not_be_asked_twice(method: str, is_repeatable: bool, may: bool) -> None:
    assert an_own_route(method=method, is_repeatable=is_repeatable).may_repeat is may


def test_what_a_command_reads_of_a_request() -> None:
    key_id = uuid7()
    request = asked(key_id=str(key_id), other="12")
    assert request.id("key_id") == UUID(str(key_id))
    assert request.number("limit", default=50, most=1_000) == 1_000
    assert request.number("offset", default=0, most=1_000) == 3
    assert request.number("page", default=1, most=9) == 1
    with pytest.raises(Refusal) as caught:
        request.id("other")
    assert caught.value.code == "NOT_FOUND"
